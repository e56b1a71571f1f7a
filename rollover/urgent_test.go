package rollover_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"rollover/rollover"
	"rollover/rollover/rollovertest"
)

// hasty are urgent rollovers, and how long one may take at the most: the sum of
// the TTLs that have to be waited for one after the other.
func hasty() []struct {
	rolling
	method string
	most   time.Duration
} {
	ttl := unequal
	all := turns()
	return []struct {
		rolling
		method string
		most   time.Duration
	}{
		{rolling{"zsk", "split", rollover.Order{Type: "zsk"}}, "double-signature", max(ttl.DNSKEY, ttl.Data)},
		{rolling{"ksk", "split", rollover.Order{Type: "ksk"}}, "double-rrset", max(ttl.DNSKEY, ttl.DS)},
		{rolling{"csk", "csk", rollover.Order{}}, "double-rrset", max(ttl.DNSKEY, ttl.DS, ttl.Data)},
		{rolling{"ksk, a registrar that replaces", "split", rollover.Order{Type: "ksk", Method: "double-signature"}}, "double-signature", ttl.DNSKEY + ttl.DS},
		{all[0], "conservative", ttl.Data + ttl.DNSKEY + ttl.DS + ttl.DNSKEY},
		{all[6], "convert-double-ds", max(ttl.DNSKEY, ttl.DS) + max(ttl.DNSKEY, ttl.Data)},
	}
}

// An urgent rollover takes no longer than the TTLs, whatever the policy says,
// breaks nothing, and is faster than another one.
func TestUrgent(t *testing.T) {
	for _, c := range hasty() {
		t.Run(c.name, func(t *testing.T) {
			careful := tight()
			careful.Factor, careful.Margin = 2, time.Hour
			w := rollovertest.New(c.layout, unequal)
			c.order.Urgent = true
			start(t, w, careful, c.order)
			drive(t, w, careful, 400)
			r := finished(t, w)
			took := r.EndedAt.Sub(r.StartedAt)
			// Besides the TTLs: a look a minute, and a registrar who acts after it.
			if slack := time.Duration(len(r.Steps)+1) * 2 * unit; took > c.most+slack || took < c.most {
				t.Errorf("it took %s, expected %s to %s", took, c.most, c.most+slack)
			}
			if r.Method != c.method {
				t.Errorf("by %s, expected %s", r.Method, c.method)
			}
			if s := describe(t, w, careful); !s.Urgent || strings.Contains(s.Plan[len(s.Plan)-2].Hold, "2 x") {
				t.Errorf("status: urgent %v, plan %+v", s.Urgent, s.Plan)
			}
		})
	}
}

// An urgent rollover leaves no TTL out: killed anywhere or looked at with servers
// that lag, no cache is ever broken (drive looks), and it can be taken back.
func TestUrgentWithLaggards(t *testing.T) {
	for _, c := range hasty() {
		t.Run(c.name, func(t *testing.T) {
			w := rollovertest.New(c.layout, unequal)
			w.Lag = map[string]time.Duration{"ns1": 5 * unit, "p2": 9 * unit}
			c.order.Urgent = true
			start(t, w, rollover.DefaultPolicy(), c.order)
			drive(t, w, rollover.DefaultPolicy(), 400)
			finished(t, w)
		})
	}
}

// What is given up is told, and that the registrar must add.
func TestTradeOff(t *testing.T) {
	r := rollover.Roll{Method: "double-rrset"}
	if text := strings.Join(r.TradeOff(), " "); !strings.Contains(text, "no margin") || !strings.Contains(text, "must ADD") {
		t.Errorf("the trade-off is told as %q", text)
	}
	r.Method = "double-signature"
	if slices.ContainsFunc(r.TradeOff(), func(text string) bool { return strings.Contains(text, "must ADD") }) {
		t.Error("a registrar that replaces is told to add")
	}
}

// A parent that follows CDS has its own urgent way: new signs at once, and the
// parent adds its DS when it likes.
func TestUrgentByCDS(t *testing.T) {
	for layout, kind := range map[string]string{"split": "ksk", "csk": "csk"} {
		w := rollovertest.New(layout, unequal)
		p := byCDS()
		start(t, w, p, rollover.Order{Type: kind, Urgent: true})
		if r := w.Roll(); r.Method != "double-signature-cds" || !r.Urgent {
			t.Errorf("%s goes by %s, urgent %v", kind, r.Method, r.Urgent)
		}
	}
}
