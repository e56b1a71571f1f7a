package probe

import (
	"time"

	"github.com/miekg/dns"

	"rollover/rollover"
	"rollover/rollover/chain"
)

// absence notes on an empty DS set which zone said so, and what that has in its
// place: by the response code, or by the proof.
func (v visit) absence(zone string, m *dns.Msg, now time.Time, set *rollover.DSVersion) {
	if len(set.Set) > 0 {
		return
	}
	for _, rr := range m.Ns {
		if soa, ok := rr.(*dns.SOA); ok {
			set.Parent = soa.Hdr.Name
		}
	}
	if m.Rcode == dns.RcodeNameError {
		set.NoDS = rollover.AbsentName
	}
	if v.proofs != nil {
		v.proofs.absence(zone, m, now, set)
	}
}

// absence notes on an empty DS set what its proof says: that the zone is
// delegated without DS, or that it is not delegated.
func (p *proofs) absence(zone string, m *dns.Msg, now time.Time, v *rollover.DSVersion) {
	signer, _ := signerOf(zone, m)
	d := chain.ProveDelegation(p.zones[signer].Pool(now).Within(p.budget), zone, m) // where no keys are proven, nothing is
	switch {
	case d.Cut == chain.CutUnsigned && v.NoDS == "": // with opt-out the response code says more
		v.NoDS = rollover.AbsentDS
	case d.Security != rollover.Secure:
	case d.Cut == chain.CutNone:
		v.NoDS, v.Denied = rollover.AbsentDelegation, true
	case d.Cut == chain.CutNoName:
		v.NoDS, v.Denied = rollover.AbsentName, true
	}
}
