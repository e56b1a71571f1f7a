package rollover_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"rollover/rollover"
	"rollover/rollover/rollovertest"
)

func stored(name, typ string, computes ...string) rollover.Stored {
	return rollover.Stored{Sample: rollover.Sample{Name: name, Type: typ}, Computes: computes, Sum: "1"}
}

// toSign is an unsigned world with records, whose servers answer what they are told.
func toSign(records ...rollover.Stored) *rollovertest.World {
	w := rollovertest.New("unsigned", unequal)
	w.Around = rollover.Surroundings{Zone: rollovertest.Zone, Records: records}
	w.Answer = func(string, rollover.Sample) rollover.AnswerSighting {
		return rollover.AnswerSighting{Class: rollover.ClassData, Sum: "aaaa"}
	}
	return w
}

// What signing is known to change is refused by name, with what accepts it.
func TestSignRefusesWhatItWouldChange(t *testing.T) {
	zone := rollovertest.Zone
	wild := []rollover.Stored{stored("*."+zone, "A"), stored("_443._tcp.shop."+zone, "TLSA"), stored("own."+zone, "TXT"), stored("x.own."+zone, "A"),
		stored("cut."+zone, "NS"), stored("a.b.cut."+zone, "A"), stored("x.in."+zone, "A"), stored("*.in."+zone, "TXT"), stored("y.deep.in."+zone, "A")}
	for name, c := range map[string]struct {
		change func(w *rollovertest.World)
		words  []string // all that has to be accepted
		says   string
	}{
		"an ALIAS at the apex": {func(w *rollovertest.World) { w.Around.Records = []rollover.Stored{stored(zone, "ALIAS", "A", "AAAA")} }, []string{zone + "/ALIAS"}, "validators will answer SERVFAIL"},
		"an ALIAS elsewhere": {func(w *rollovertest.World) {
			w.Around.Records = []rollover.Stored{stored("www."+zone, "ALIAS", "A", "AAAA")}
		}, []string{"www." + zone + "/ALIAS"}, "ALIAS"},
		"LUA, and a secondary": {func(w *rollovertest.World) {
			w.ZoneKind, w.Around.Records = rollover.KindMaster, []rollover.Stored{stored("up."+zone, "LUA", "A")}
		}, []string{"up." + zone + "/LUA"}, "no such A"},
		"LUA, and nobody transfers": {func(w *rollovertest.World) {
			w.ZoneKind, w.Around.Records = rollover.KindNative, []rollover.Stored{stored("up."+zone, "LUA", "A")}
		}, nil, ""},
		"something else that is computed": {func(w *rollovertest.World) { w.Around.Records = []rollover.Stored{stored("odd."+zone, "ODD", "A")} }, []string{"odd." + zone + "/ODD"}, "computes"},
		"names that a wildcard answers":   {func(w *rollovertest.World) { w.Around.Records = wild }, []string{"_tcp.shop." + zone + "/WILDCARD", "shop." + zone + "/WILDCARD", "in." + zone + "/WILDCARD", "deep.in." + zone + "/WILDCARD"}, "rectify-zone"},
		"the same, rectified before": {func(w *rollovertest.World) {
			w.Around.Records = wild
			w.Answer = func(_ string, s rollover.Sample) rollover.AnswerSighting {
				return rollover.AnswerSighting{Class: rollover.ClassNoData}
			}
		}, nil, ""},
		"a zone below": {func(w *rollovertest.World) { w.Around.Below = []string{"sub." + zone} }, []string{"sub." + zone + "/ZONE"}, "add NS records for sub." + zone + " to " + zone},
		"one that is delegated": {func(w *rollovertest.World) {
			w.Around.Below, w.Around.Records = []string{"sub." + zone}, []rollover.Stored{stored("sub."+zone, "NS")}
		}, nil, ""},
		"one below one that is delegated": {func(w *rollovertest.World) {
			w.Around.Below, w.Around.Records = []string{"sub." + zone, "a.sub." + zone}, []rollover.Stored{stored("sub."+zone, "NS")}
		}, nil, ""},
		"one that NS at the apex does not": {func(w *rollovertest.World) {
			w.Around.Below, w.Around.Records = []string{"sub." + zone}, []rollover.Stored{stored(zone, "NS")}
		}, []string{"sub." + zone + "/ZONE"}, "sub."},
	} {
		t.Run(name, func(t *testing.T) {
			w := toSign()
			c.change(w)
			order := rollover.Order{Zone: zone, Type: "sign"}
			for n := range c.words {
				order.Accept = c.words[:n]
				_, err := w.Engine(tight()).Prepare(context.Background(), order)
				if !errors.Is(err, rollover.ErrRefused) || !strings.Contains(err.Error(), c.words[n]) || !strings.Contains(err.Error(), "--accept") || !strings.Contains(err.Error(), c.says) {
					t.Fatalf("with %q accepted: %v", order.Accept, err)
				}
			}
			order.Accept = c.words
			d, err := w.Engine(tight()).Prepare(context.Background(), order)
			if err != nil || len(d.Roll.Accepted) != len(c.words) {
				t.Errorf("with all accepted: %v", err)
			}
		})
	}
}

func TestSignRefusesWhatIsNoNameToAccept(t *testing.T) {
	w := toSign()
	_, err := w.Engine(tight()).Prepare(context.Background(), rollover.Order{Zone: rollovertest.Zone, Type: "sign", Accept: []string{"a..b"}})
	if !errors.Is(err, rollover.ErrRefused) || !strings.Contains(err.Error(), "NAME/TYPE") {
		t.Errorf("%v", err)
	}
}

// Answers that are not what they were, or that nobody believes, hold the DS back
// until they are mended or accepted; what somebody changed in the zone does not.
func TestAnswersHoldTheDSBack(t *testing.T) {
	zone := rollovertest.Zone
	www, wild, alias := "www."+zone, "*."+zone, "alias."+zone
	records := []rollover.Stored{stored(zone, "SOA"), stored(www, "A"), stored(wild, "TXT"), stored(alias, "ALIAS", "A"), stored("up."+zone, "LUA", "A")}
	data := func(sum string) rollover.AnswerSighting {
		return rollover.AnswerSighting{Class: rollover.ClassData, Sum: sum}
	}
	for name, c := range map[string]struct {
		of     rollover.Sample
		before rollover.AnswerSighting
		after  rollover.AnswerSighting
		accept string // what lets it go on; empty: nothing differs
	}{
		"as before":           {rollover.Sample{Name: www, Type: "A"}, data("1"), data("1"), ""},
		"other records":       {rollover.Sample{Name: www, Type: "A"}, data("1"), data("2"), www + "/A"},
		"another serial":      {rollover.Sample{Name: zone, Type: "SOA"}, data("1"), data("2"), ""},
		"another of LUA":      {rollover.Sample{Name: "up." + zone, Type: "A"}, data("1"), data("2"), ""},
		"gone":                {rollover.Sample{Name: www, Type: "A"}, data("1"), rollover.AnswerSighting{Class: rollover.ClassNoData}, www},
		"not signed":          {rollover.Sample{Name: www, Type: "A"}, data("1"), rollover.AnswerSighting{Class: rollover.ClassData, Sum: "1", Fault: "has no signature"}, www + "/A"},
		"not answered":        {rollover.Sample{Name: www, Type: "A"}, data("1"), rollover.AnswerSighting{Unknown: "timed out"}, www + "/A"},
		"SERVFAIL":            {rollover.Sample{Name: www, Type: "A"}, data("1"), rollover.AnswerSighting{Class: "SERVFAIL"}, www + "/A"},
		"SERVFAIL as before":  {rollover.Sample{Name: www, Type: "A"}, rollover.AnswerSighting{Class: "SERVFAIL"}, rollover.AnswerSighting{Class: "SERVFAIL"}, ""},
		"LUA proven away":     {rollover.Sample{Name: "up." + zone, Type: "A"}, data("1"), rollover.AnswerSighting{Class: rollover.ClassNoData}, "up." + zone + "/LUA"},
		"below the wildcard":  {rollover.Sample{Name: "rollover-looks-here." + zone, Type: "TXT"}, data("1"), rollover.AnswerSighting{Class: rollover.ClassNoName}, "rollover-looks-here." + zone},
		"ALIAS, not accepted": {rollover.Sample{Name: alias, Type: "A"}, data("1"), rollover.AnswerSighting{Class: rollover.ClassData, Fault: "has no signature"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			w := toSign(records...)
			signed, now := w.Answer, c.before
			w.Answer = func(server string, s rollover.Sample) rollover.AnswerSighting {
				if s == c.of && server == "ns2" {
					return now
				}
				return signed(server, s)
			}
			w.ZoneKind = rollover.KindNative
			start(t, w, tight(), rollover.Order{Type: "sign", Accept: []string{alias + "/ALIAS"}})
			now = c.after
			drive(t, w, tight(), 60)
			held := w.Roll().Step == "sign"
			if held != (c.accept != "") {
				t.Fatalf("it is at %q, need %+v", w.Roll().Step, w.Roll().Need)
			}
			if !held {
				return
			}
			f := w.Roll().Need.Findings[0]
			if !strings.Contains(f.Server, "ns2") || !strings.Contains(f.Text, c.of.Name+" "+c.of.Type) || f.Code != rollover.FindingAnswers {
				t.Errorf("it says %+v", f)
			}
			if c.after.Class != c.before.Class && c.after.Class != "" && !strings.Contains(f.Text, fmt.Sprintf("before the signing %s, now %s", c.before.Class, c.after.Class)) {
				t.Errorf("it does not say what was and what is: %q", f.Text)
			}
			start(t, w, tight(), rollover.Order{Type: "sign", Accept: []string{c.accept}})
			drive(t, w, tight(), 60)
			if r := w.Roll(); r.State != rollover.StateDone {
				t.Errorf("with %s accepted it is at %q, need %+v", c.accept, r.Step, r.Need)
			}
		})
	}
}

// A record that somebody changed, took out or added since is no difference; what
// is added is proven as all else is.
func TestAnswersThatSomebodyChanged(t *testing.T) {
	zone := rollovertest.Zone
	w := toSign(stored("a."+zone, "A"), stored("b."+zone, "A"))
	start(t, w, tight(), rollover.Order{Type: "sign"})
	changed := stored("a."+zone, "A")
	changed.Sum = "2"
	w.Around.Records = []rollover.Stored{changed, stored("c."+zone, "A")}
	w.Answer = func(_ string, s rollover.Sample) rollover.AnswerSighting {
		if s.Name == "a."+zone {
			return rollover.AnswerSighting{Class: rollover.ClassData, Sum: "other"}
		}
		return rollover.AnswerSighting{Class: rollover.ClassData, Sum: "aaaa"}
	}
	drive(t, w, tight(), 60)
	if r := w.Roll(); r.State != rollover.StateDone || r.Before != nil {
		t.Errorf("it is at %q, need %+v", r.Step, r.Need)
	}
}

// An ALIAS that somebody adds while caches are waited for holds the DS back too.
func TestALIASThatComesLater(t *testing.T) {
	w := toSign()
	start(t, w, tight(), rollover.Order{Type: "sign"})
	w.Around.Records = []rollover.Stored{stored("late."+rollovertest.Zone, "ALIAS", "A")}
	drive(t, w, tight(), 60)
	if r := w.Roll(); r.Step != "sign" || !strings.Contains(fmt.Sprint(r.Need.Findings), "late."+rollovertest.Zone+"/ALIAS") {
		t.Errorf("it is at %q, need %+v", r.Step, r.Need)
	}
}

// However many names there are, no more than MaxAnswers questions are asked, the
// same ones each time, and what signing changes is among them.
func TestAnswersOfALargeZone(t *testing.T) {
	zone := rollovertest.Zone
	records := []rollover.Stored{stored("zz."+zone, "LUA", "A")}
	for n := range 3 * rollover.MaxAnswers {
		records = append(records, stored(fmt.Sprintf("n%05d.%s", n, zone), "A"))
	}
	w := toSign(records...)
	w.ZoneKind = rollover.KindNative
	asked := map[rollover.Sample]int{}
	w.Answer = func(server string, s rollover.Sample) rollover.AnswerSighting {
		asked[s]++
		return rollover.AnswerSighting{Class: rollover.ClassData, Sum: "1"}
	}
	for range 2 {
		if _, err := w.Engine(tight()).Prepare(context.Background(), rollover.Order{Zone: zone, Type: "sign"}); err != nil {
			t.Fatal(err)
		}
	}
	if len(asked) != rollover.MaxAnswers || asked[rollover.Sample{Name: "zz." + zone, Type: "A"}] != 4 {
		t.Errorf("%d different questions, the computed one %d times", len(asked), asked[rollover.Sample{Name: "zz." + zone, Type: "A"}])
	}
	for s, n := range asked {
		if n != 4 {
			t.Fatalf("%v was asked %d times of two servers in two looks", s, n)
		}
	}
}

// A parent that does not delegate the zone: each has its own name.
func TestUndelegated(t *testing.T) {
	zone := rollovertest.Zone
	for no, says := range map[rollover.NoDS]string{
		rollover.AbsentName:       "com. proves that there is no " + zone + ": add NS records there",
		rollover.AbsentDelegation: "com. proves that it does not delegate " + zone + ": add NS records there",
		rollover.AbsentDS:         "",
	} {
		w := toSign()
		w.Undelegated = no
		_, err := w.Engine(tight()).Prepare(context.Background(), rollover.Order{Zone: zone, Type: "sign"})
		if (err != nil) != (says != "") || err != nil && (!errors.Is(err, rollover.ErrRefused) || !strings.Contains(err.Error(), says+"; a DS there would make the zone fail")) {
			t.Errorf("%s: sign says %v, expected %q", no, err, says)
		}
		w.Undelegated = ""
		start(t, w, tight(), rollover.Order{Type: "sign"})
		w.Undelegated = no // the records went away while the DS was waited for
		w.Operator = func(*rollovertest.World, []rollover.DS) {}
		drive(t, w, tight(), 60)
		d, err := w.Load(zone)
		if err != nil {
			t.Fatal(err)
		}
		s, err := rollover.Describe(d, tight(), w.Now.Wall, func(c rollover.Command) string { return w.Explain(d.Zone, c) })
		if err != nil || !strings.Contains(s.WaitingFor, says) || !strings.Contains(s.Command, says) || s.Step != "submit" {
			t.Errorf("%s: status at %q says %q, command %q, %v", no, s.Step, s.WaitingFor, s.Command, err)
		}
		sighting, err := w.Look(context.Background(), rollover.Question{Zone: zone, Records: []rollover.Record{rollover.RecordDNSKEY, rollover.RecordDS}})
		if err != nil {
			t.Fatal(err)
		}
		found := fmt.Sprintf("%#v", rollover.Health(sighting, tight(), rollover.DefaultLimits()))
		if strings.Contains(found, rollover.FindingUndelegated) != (says != "") || strings.Contains(found, rollover.FindingNoDS) != (says == "") || !strings.Contains(found, says) {
			t.Errorf("%s: check finds %s", no, found)
		}
		w = rollovertest.New("csk", unequal)
		w.SetDS(nil)
		w.Undelegated = no
		w.Advance(40 * unit)
		if _, err := w.Engine(tight()).Prepare(context.Background(), rollover.Order{Zone: zone, Type: "csk"}); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: start says %v", no, err)
		}
	}
}

// CDS records that are served, whatever the metadata say.
func TestStartLooksAtTheCDSRecordsThatAreServed(t *testing.T) {
	ours, none := "CDS 1 13 2 AB", "CDNSKEY 0 3 0 AA=="
	followed := tight()
	followed.CDS = true
	for name, c := range map[string]struct {
		layout, kind string
		policy       rollover.Policy
		served       string
		refused      bool
	}{
		"by hand":               {"csk", "csk", tight(), ours, true},
		"a parent that follows": {"csk", "csk", followed, ours, false},
		"that ask for no DS":    {"csk", "csk", followed, none, true},
		"a ZSK":                 {"split", "zsk", tight(), ours, false},
		"unsign by hand":        {"csk", "unsign", tight(), ours, true},
		"unsign, followed":      {"csk", "unsign", followed, none, false},
		"sign":                  {"unsigned", "sign", followed, ours, true},
		"nothing served":        {"csk", "csk", tight(), "", false},
	} {
		w := rollovertest.New(c.layout, unequal)
		if c.served != "" {
			w.Announces = map[string][]string{"ns2": {c.served}}
		}
		_, err := w.Engine(c.policy).Prepare(context.Background(), rollover.Order{Zone: rollovertest.Zone, Type: c.kind})
		if (err != nil) != c.refused || err != nil && (!errors.Is(err, rollover.ErrRefused) || !strings.Contains(err.Error(), "default-publish-cds") || !strings.Contains(err.Error(), "ns2")) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A server that would serve CDS records as soon as there are keys.
func TestSignLooksAtWhatTheServerIsTold(t *testing.T) {
	for setting, refused := range map[string]bool{
		"default-publish-cds=2": true, "default-publish-cds=": false, "default-publish-cdnskey=1": true, "default-publish-cdnskey=": false, "default-publish-cdnskey=0": false, "other=1": false,
	} {
		key, value, _ := strings.Cut(setting, "=")
		w := toSign()
		w.Around.Settings = map[string]string{key: value}
		_, err := w.Engine(tight()).Prepare(context.Background(), rollover.Order{Zone: rollovertest.Zone, Type: "sign"})
		if (err != nil) != refused || err != nil && !strings.Contains(err.Error(), setting) {
			t.Errorf("%s: %v", setting, err)
		}
	}
}

// Where nobody could ask the server, its CDS records are told when they are seen.
func TestTheDSStepTellsOfCDSRecords(t *testing.T) {
	w := toSign()
	start(t, w, tight(), rollover.Order{Type: "sign"})
	w.Announces = map[string][]string{"ns1": {"CDS 1 13 2 AB"}}
	w.Operator = func(*rollovertest.World, []rollover.DS) {}
	drive(t, w, tight(), 60)
	d, _ := w.Load(rollovertest.Zone)
	s, err := rollover.Describe(d, tight(), w.Now.Wall, func(c rollover.Command) string { return w.Explain(d.Zone, c) })
	if err != nil || s.Step != "submit" || !strings.Contains(strings.Join(s.Warnings, "\n"), "ns1 serves CDS 1 13 2 AB") {
		t.Errorf("at %q: %q, %v", s.Step, s.Warnings, err)
	}
}

// What cancel does not bring back is told.
func TestCancelOfSignTellsWhatStays(t *testing.T) {
	zone := rollovertest.Zone
	w := toSign(stored("*."+zone, "A"), stored("a.shop."+zone, "A"))
	w.Answer = func(_ string, s rollover.Sample) rollover.AnswerSighting { // as after rectify-zone, but before
		return rollover.AnswerSighting{Class: rollover.ClassData, Sum: "1"}
	}
	start(t, w, tight(), rollover.Order{Type: "sign", Accept: []string{"shop." + zone}})
	if err := w.Engine(tight()).Cancel(context.Background(), zone, ""); err != nil {
		t.Fatal(err)
	}
	drive(t, w, tight(), 60)
	told := 0
	for _, e := range w.Events {
		if (e.Event == rollover.EventCancel || e.Event == rollover.EventCancelled) && strings.Contains(e.Text, "shop."+zone) && strings.Contains(e.Text, "pdnsutil load-zone") {
			told++
		}
	}
	if told != 2 || w.Roll().State != rollover.StateCancelled {
		t.Errorf("told %d times: %+v", told, w.Events)
	}
}
