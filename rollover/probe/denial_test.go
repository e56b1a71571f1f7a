package probe

import (
	"fmt"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"rollover/rollover"
)

// modes are the ways in which PowerDNS denies.
func modes() map[string][]string {
	return map[string][]string{
		"NSEC": nil, "NSEC3": {"set-nsec3", zone, "1 0 0 ab"}, "NSEC3 narrow": {"set-nsec3", zone, "1 0 0 ab", "narrow"},
		"NSEC3 opt-out": {"set-nsec3", zone, "1 1 0 -"},
	}
}

// thoroughly is a look before something is touched, with samples of all sorts.
func thoroughly() rollover.Question {
	samples := append([]rollover.Sample{{Name: zone, Type: "NS"}, {Name: "sub.zone.example.", Type: "DS"}, {Name: "other.zone.example.", Type: "A"}}, everything...)
	return rollover.Question{Records: []rollover.Record{rollover.RecordDNSKEY, rollover.RecordData}, Samples: samples, Thorough: true}
}

// A healthy zone proves whatever it denies, in each of its ways; one with a name
// that was put into the database behind PowerDNS' back does not. In the narrow
// way nothing is stored that could be wrong.
func TestDenialsOfPowerDNS(t *testing.T) {
	for name, command := range modes() {
		t.Run(name, func(t *testing.T) {
			p := newPowerDNS(t, map[string]string{"zone.example": childZone + "other IN A 192.0.2.8\n*.under.wild IN A 192.0.2.9\n"})
			if command != nil {
				p.util(command...)
			}
			p.sign("zone.example")
			got := lookWith(t, realClient(t), p.clone().start("127.0.0.3", freePort(t, "127.0.0.3"), zone), thoroughly())
			same(t, "unknown", got.Unknown, "")
			same(t, "denials of a healthy zone", got.Denials, []rollover.Denial(nil))
			insert(t, p, "mike", "A", "192.0.2.7")
			insert(t, p, "kid", "NS", "ns.example.net")
			q := thoroughly()
			q.Samples = append([]rollover.Sample{{Name: "mike.zone.example.", Type: "A"}, {Name: "kid.zone.example.", Type: "DS"}}, q.Samples...)
			got = lookWith(t, realClient(t), p.clone().start("127.0.0.4", freePort(t, "127.0.0.4"), zone), q)
			if faults := fmt.Sprint(got.Denials); got.Unknown != "" || name != "NSEC3 narrow" && !strings.Contains(faults, "at mike.zone.example.") {
				t.Errorf("after a record came in without rectify: %+v", got)
			}
		})
	}
}

// insert puts a record into the database as a tool would that knows nothing of
// DNSSEC.
func insert(t *testing.T, p *powerDNS, name, rrtype, content string) {
	t.Helper()
	run(t, fmt.Sprintf("INSERT INTO records (domain_id, name, type, content, ttl, prio, disabled, auth) SELECT id, '%s.zone.example', '%s', '%s', 300, 0, 0, 1 FROM domains WHERE name = 'zone.example';\n", name, rrtype, content),
		"sqlite3", p.database())
}

// The names asked for are next to the real ones: nothing of the zone lies between.
func TestAbsences(t *testing.T) {
	var got []string
	for _, i := range absences(rollover.Question{Zone: zone, Samples: []rollover.Sample{
		{Name: "www.zone.example.", Type: "A"}, {Name: "www.zone.example.", Type: "AAAA"}, {Name: "*.wild.zone.example.", Type: "A"},
		{Name: "sub.zone.example.", Type: "DS"}, {Name: "a.zone.example.", Type: "A"}, {Name: "b0.zone.example.", Type: "A"}, {Name: "c.zone.example.", Type: "A"},
	}}) {
		label, _, _ := strings.Cut(i.name, ".")
		if i.rrtype == dns.TypeA {
			label = label[:len(label)-8] // made up
		}
		got = append(got, label+i.name[strings.Index(i.name, "."):]+" "+dns.Type(i.rrtype).String())
	}
	same(t, "absences", got, []string{
		"zone.example. TYPE65280", "-rollover-.zone.example. A", "zzzz-rollover-.zone.example. A",
		"www.zone.example. TYPE65280", "-rollover-.www.zone.example. A", "wwvzzzz.zone.example. A",
		"*.wild.zone.example. TYPE65280", "-rollover-.*.wild.zone.example. A",
		"a.zone.example. TYPE65280", "-rollover-.a.zone.example. A", "_zzzz.zone.example. A",
		"b0.zone.example. TYPE65280", "-rollover-.b0.zone.example. A", "b-zzzz.zone.example. A",
		"c.zone.example. TYPE65280",
	})
}
