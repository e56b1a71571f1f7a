package probe

import (
	"net/netip"
	"strings"
	"testing"

	"rollover/rollover"
	"rollover/rollover/chain"
)

const rootZone = `$ORIGIN .
$TTL 3600
@ IN SOA ns.example. hostmaster.example. 1 3600 600 86400 300
@ IN NS ns.example.
ns.example. IN A 127.0.0.2
zone.example. IN NS ns1.zone.example.
www.invalid. IN A 192.0.2.1
`

// The root has no parent and is asked for none; with its anchor the sighting has
// that, and check finds nothing; with no anchor, or another one, it says so.
func TestLookAtARoot(t *testing.T) {
	p := newPowerDNS(t, map[string]string{".": rootZone})
	p.sign(".")
	at := p.start("127.0.0.3", freePort(t, "127.0.0.3"), ".")
	anchors := func(text string) chain.Anchors {
		a, err := chain.ParseAnchors(strings.NewReader(text), "test")
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	right := ". IN DS " + p.ds(".")[0]
	for name, c := range map[string]struct {
		anchors chain.Anchors
		is      rollover.Security
		finds   string
	}{
		"its anchor": {anchors(right), rollover.Secure, ""}, "no anchor": {nil, rollover.Indeterminate, rollover.FindingUnproven},
		"another anchor": {chain.RootAnchors(), rollover.Bogus, rollover.FindingChain},
	} {
		client := realClient(t)
		client.Anchors = c.anchors
		q := rollover.Question{Zone: ".", Servers: []string{at.String()}, ServersOnly: true, Thorough: true, Validate: true,
			Records: []rollover.Record{rollover.RecordDNSKEY, rollover.RecordData, rollover.RecordDS}}
		s, err := client.Look(t.Context(), q)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		policy := rollover.DefaultPolicy()
		got := rollover.Check(rollover.Dossier{}, s, policy, rollover.DefaultLimits(), s.At.Wall)
		if got.Security != c.is || c.finds == "" && len(got.Findings) > 0 || c.finds != "" && (len(got.Findings) == 0 || got.Findings[0].Code != c.finds) {
			t.Errorf("%s: %s, %v", name, got.Security, got.Findings)
		}
	}
}

// An answer without a signature is bogus where the parent is proven to be signed,
// insecure where a zone above is proven not to be, and else it cannot be told.
func TestUnsignedAnswersOfTheParent(t *testing.T) {
	v := newVillage(t)
	open := newPowerDNS(t, map[string]string{"example": parentZone}) // the same, and nobody signs it
	port := freePort(t, "127.0.0.6", "127.0.0.7")
	plain := open.start("127.0.0.6", port, "example.")
	above := newPowerDNS(t, map[string]string{".": rootZone + "example. IN NS ns.example.\n"})
	above.sign(".")
	root := above.start("127.0.0.7", port, ".")
	read := func(text string) chain.Anchors {
		a, err := chain.ParseAnchors(strings.NewReader(text), "test")
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	for name, c := range map[string]struct {
		anchors  chain.Anchors
		resolver netip.AddrPort
		is       rollover.Security
	}{
		"a signed parent":   {read(v.anchor), v.resolver, rollover.Bogus},
		"an unsigned one":   {read(". IN DS " + above.ds(".")[0]), root, rollover.Insecure},
		"no anchor":         {nil, v.resolver, rollover.Indeterminate},
		"another root says": {read(". IN DS " + v.parent.ds("example")[0]), root, rollover.Bogus},
	} {
		client := realClient(t)
		client.Anchors, client.Resolvers = c.anchors, []string{c.resolver.String()}
		s, err := client.Look(t.Context(), rollover.Question{
			Zone: zone, Records: []rollover.Record{rollover.RecordDNSKEY, rollover.RecordDS}, Validate: true,
			Servers: []string{v.stubs[zone][0].String()}, ServersOnly: true, ParentServers: []string{plain.String()},
		})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		told := 0
		for _, o := range s.Servers {
			if o.DS != nil {
				told++
			}
			if o.DS != nil && (o.DS.Standing == nil || o.DS.Standing.Security != c.is) {
				t.Errorf("%s: expected %s, got %+v", name, c.is, o.DS.Standing)
			}
		}
		if told != 1 {
			t.Errorf("%s: %d servers of the parent answered", name, told)
		}
	}
}

// A zone is alone when it is the root or has an anchor of its own, unless servers
// of a parent are configured or known.
func TestWhoHasNoParentThatCounts(t *testing.T) {
	known := func(role string) rollover.Question {
		return rollover.Question{Zone: ".", Known: []rollover.Server{{Role: role, Name: "ns."}}}
	}
	c := &Client{Anchors: chain.Anchors{zone: {DS: []rollover.DS{{Tag: 1, Algorithm: 13, DigestType: 2, Digest: "AB"}}}}}
	for name, tc := range map[string]struct {
		q     rollover.Question
		alone bool
	}{
		"the root":                          {rollover.Question{Zone: "."}, true},
		"one with an anchor":                {rollover.Question{Zone: zone}, true},
		"one without":                       {rollover.Question{Zone: "example."}, false},
		"a server of the parent configured": {rollover.Question{Zone: ".", ParentServers: []string{"127.0.0.1"}}, false},
		"a server of the parent known":      {known(rollover.RoleParent), false},
		"a server of the zone known":        {known(rollover.RoleChild), true},
	} {
		same(t, name, c.alone(tc.q), tc.alone)
	}
}

// The root has nobody above to prove anything, and the one answer that no zone
// above has signed is looked into once.
func TestWhatNobodyAboveHasSigned(t *testing.T) {
	s := newStreet(t)
	c := s.client(t)
	p := &proofs{}
	c.proveUnsigned(t.Context(), ".", p)
	same(t, "of the root", p.unsigned, (*chain.Verdict)(nil))
	same(t, "standing", p.unsignedStanding("."), &rollover.Standing{Security: rollover.Bogus, Why: "the answer of the parent is not signed by a zone above ."})
	c.proveUnsigned(t.Context(), zone, p)
	c.proveUnsigned(t.Context(), zone, p)
	same(t, "questions", s.times("resolver . DNSKEY"), 1)
	same(t, "standing", p.unsignedStanding(zone),
		&rollover.Standing{Security: rollover.Bogus, Why: "the answer of the parent is not signed by a zone above zone.example., and example. is signed"})
}
