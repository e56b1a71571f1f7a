package chain

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/miekg/dns"

	"rollover/rollover"
)

// MarshalJSON leaves out whether a key fits where no keys were asked for.
func (d DSFact) MarshalJSON() ([]byte, error) {
	out := struct {
		rollover.DS
		Fits *bool `json:"fits,omitempty"`
	}{DS: d.DS}
	if !d.Untried {
		out.Fits = &d.Fits
	}
	return json.Marshal(out)
}

// says is what a judged answer says, if it is true: a server that has the
// records and one that proves that there are none are both right by themselves.
type says string

const (
	saysThere   says = "there"
	saysNothing says = "nothing"
)

func (a Answer) says() says {
	if a.Kind == AnswerNoData || a.Kind == AnswerNoName {
		return saysNothing
	}
	return saysThere
}

func (d Delegation) says() says {
	if d.Cut == CutSigned {
		return saysThere
	}
	return saysNothing
}

// hearing remembers what each answer said while they are judged.
type hearing map[*dns.Msg]says

// hear is a judge who remembers.
func hear[T interface{ says() says }](h hearing, judge func(*dns.Msg) (T, Verdict)) func(*dns.Msg) (T, Verdict) {
	return func(m *dns.Msg) (T, Verdict) {
		out, v := judge(m)
		h[m] = out.says()
		return out, v
	}
}

// agree finds servers that contradict each other although each proves what it
// says: one has what another proves not to be there. One that lags is told of as
// such, and no other is at fault then.
func (l *Link) agree(replies []Reply, heard hearing) {
	l.laggards()
	by := map[says][]string{}
	for i, r := range replies {
		a := l.Answers[i]
		if r.Message == nil || a.Code == CodeLagging || a.Security != rollover.Secure && a.Security != rollover.Insecure {
			continue
		}
		by[heard[r.Message]] = append(by[heard[r.Message]], r.Server)
	}
	if len(by) < 2 || l.Mark == MarkBroken {
		return
	}
	l.Mark, l.Code = MarkWarning, CodeContradiction
	l.Text = fmt.Sprintf("servers contradict each other, and each proves what it says: %s: it is there; %s: there is none", strings.Join(by[saysThere], ", "), strings.Join(by[saysNothing], ", "))
}

// told is what an answer says, in words, where it has no records to show.
func (a Answer) told(name string) string {
	switch {
	case a.Security != rollover.Secure:
		return ""
	case a.Kind == AnswerNoName:
		return "there is no such name, proven"
	case a.Kind == AnswerNoData:
		return fmt.Sprintf("%s exists and has no such records, proven", name)
	}
	return ""
}

// told is the same of the DS set of a name that does not exist.
func (d Delegation) told() string {
	if d.Security == rollover.Secure && d.Cut == CutNoName {
		return "there is no such name, proven"
	}
	return ""
}
