package hook

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"rollover/rollover"
)

// Driver is the exec driver: it runs a program for each change of the DS set.
// Exit code 0 means accepted, 75 try later, anything else failed.
type Driver struct{ Program }

var _ rollover.Registrar = (*Driver)(nil)

// exitTryLater is EX_TEMPFAIL of sysexits.h.
const exitTryLater = 75

// Submit runs the program.
func (d *Driver) Submit(ctx context.Context, c rollover.Change) rollover.Answer {
	stdin, err := json.Marshal(newRequest(c))
	if err != nil {
		return rollover.Answer{State: rollover.SubmissionFailed, Text: fmt.Sprintf("encoding the change: %v", err)}
	}
	out := d.run(ctx, requestEnv(c), append(stdin, '\n'))
	switch out.code {
	case 0:
		return rollover.Answer{State: rollover.SubmissionAccepted, Text: out.said()}
	case exitTryLater:
		return rollover.Answer{State: rollover.SubmissionLater, Text: out.said()}
	}
	return rollover.Answer{State: rollover.SubmissionFailed, Text: out.why()}
}

// request is the JSON on the program's standard input, schema 1: fields are
// added, never renamed.
type request struct {
	Schema  int      `json:"schema"`
	Event   string   `json:"event"`
	Zone    string   `json:"zone"`
	ID      string   `json:"id"`
	Type    string   `json:"type"`
	Method  string   `json:"method"`
	Step    string   `json:"step"`
	Key     string   `json:"idempotency_key"`
	Attempt int      `json:"attempt"`
	Add     []record `json:"add"`
	Keep    []record `json:"keep"`
	Remove  []record `json:"remove"`
	Set     []record `json:"set"`
}

// record is one DS record, with the DNSKEY behind it where that is known.
type record struct {
	DS         string `json:"ds"`
	Tag        uint16 `json:"tag"`
	Algorithm  uint8  `json:"algorithm"`
	DigestType uint8  `json:"digest_type"`
	Digest     string `json:"digest"`
	DNSKEY     string `json:"dnskey,omitempty"`
	Flags      uint16 `json:"flags,omitempty"`
	PublicKey  string `json:"public_key,omitempty"`
}

func newRequest(c rollover.Change) request {
	return request{
		Schema: 1, Event: rollover.EventDSNeeded, Zone: c.Zone, ID: c.Roll, Type: c.Type, Method: c.Method, Step: c.Step, Key: c.Key, Attempt: c.Attempt,
		Add: records(c, c.Add), Keep: records(c, c.Keep), Remove: records(c, c.Remove), Set: records(c, c.Set),
	}
}

func records(c rollover.Change, set []rollover.DS) []record {
	out := []record{}
	for _, d := range set {
		r := record{DS: d.String(), Tag: d.Tag, Algorithm: d.Algorithm, DigestType: d.DigestType, Digest: d.Digest}
		if k, ok := keyOf(c, d); ok {
			r.DNSKEY, r.Flags, r.PublicKey = k.String(), k.Flags, k.PublicKey
		}
		out = append(out, r)
	}
	return out
}

// keyOf is the key behind a DS, if it is a key of the rollover.
func keyOf(c rollover.Change, d rollover.DS) (rollover.DNSKEY, bool) {
	for _, k := range c.Keys {
		if own, err := k.DNSKEY().DS(c.Zone, d.DigestType); err == nil && own == d {
			return k.DNSKEY(), true
		}
	}
	return rollover.DNSKEY{}, false
}

// requestEnv is the change in the environment, for programs without a JSON
// parser: one record in each line. All of it was validated before.
func requestEnv(c rollover.Change) []string {
	return []string{
		"ROLLOVER_EVENT=" + rollover.EventDSNeeded,
		"ROLLOVER_ZONE=" + c.Zone,
		"ROLLOVER_ID=" + c.Roll,
		"ROLLOVER_TYPE=" + c.Type,
		"ROLLOVER_METHOD=" + c.Method,
		"ROLLOVER_STEP=" + c.Step,
		"ROLLOVER_IDEMPOTENCY_KEY=" + c.Key,
		fmt.Sprintf("ROLLOVER_ATTEMPT=%d", c.Attempt),
		"ROLLOVER_DS_ADD=" + dsLines(c.Add),
		"ROLLOVER_DS_KEEP=" + dsLines(c.Keep),
		"ROLLOVER_DS_REMOVE=" + dsLines(c.Remove),
		"ROLLOVER_DS_SET=" + dsLines(c.Set),
		"ROLLOVER_DNSKEY_ADD=" + keyLines(c, c.Add),
		"ROLLOVER_DNSKEY_REMOVE=" + keyLines(c, c.Remove),
		"ROLLOVER_DNSKEY_SET=" + keyLines(c, c.Set),
	}
}

func dsLines(set []rollover.DS) string {
	lines := make([]string, len(set))
	for i, d := range set {
		lines[i] = d.String()
	}
	return strings.Join(lines, "\n")
}

// keyLines is the DNSKEYs behind a DS set, each once.
func keyLines(c rollover.Change, set []rollover.DS) string {
	var lines []string
	seen := map[string]bool{}
	for _, d := range set {
		if k, ok := keyOf(c, d); ok && !seen[k.String()] {
			seen[k.String()] = true
			lines = append(lines, k.String())
		}
	}
	return strings.Join(lines, "\n")
}
