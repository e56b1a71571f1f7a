package main

import (
	"encoding/xml"
	"errors"
	"io"
	"regexp"
	"strings"
	"testing"

	"rollover/rollover"
	"rollover/rollover/chain"
)

// hostile is a trace full of text that somebody else wrote.
func hostile() chain.Trace {
	evil := "\x1b[2J<script>alert(1)</script>\"'&|" + strings.Repeat("long ", 60)
	link := chain.Link{
		Kind: chain.LinkData, Zone: "example.com.", Name: "www.example.com.", Type: "TXT", Mark: chain.MarkBroken, Security: rollover.Bogus, Code: chain.CodeExpired, Text: evil,
		Signatures: []chain.SignatureFact{{Tag: 1, Algorithm: 13, Fault: evil}},
		Answers:    []chain.AnswerFact{{Server: "a", Security: rollover.Bogus, Text: evil}, {Server: "b", Security: rollover.Secure}},
	}
	good := chain.Link{Kind: chain.LinkDS, Zone: "com.", Name: "example.com.", Type: "DS", Mark: chain.MarkGood, Security: rollover.Secure, DS: []chain.DSFact{{DS: rollover.DS{Tag: 1, Algorithm: 13, DigestType: 2, Digest: "AB"}, Fits: true}}}
	return chain.Trace{Name: "www.example.com.", Type: "TXT", Security: rollover.Bogus, Code: chain.CodeExpired, Sentence: evil, Remedy: evil, Links: []chain.Link{good, link}}
}

// The pictures are one well-formed file each, without scripts, without anything
// loaded from elsewhere, whatever is in the texts.
func TestPicturesAreHarmless(t *testing.T) {
	for name, draw := range map[string]func(chain.Trace) ([]byte, error){"svg": traceSVG, "html": traceHTML} {
		raw, err := draw(hostile())
		if err != nil {
			t.Fatal(err)
		}
		text := string(raw)
		if regexp.MustCompile(`(?i)<script|javascript:|\bon[a-z]+=|src=|href=|url\(|@import`).MatchString(text) {
			t.Errorf("%s: active content in %s", name, text)
		}
		if strings.ContainsAny(text, "\x1b\x00") {
			t.Errorf("%s: control characters", name)
		}
		if n := strings.Count(strings.ReplaceAll(text, "http://www.w3.org/2000/svg", ""), "http:"); n > 0 {
			t.Errorf("%s: %d links to elsewhere", name, n)
		}
		for _, want := range []string{"example.com. DS", "www.example.com. TXT", "#6131a3", "#0a879a"} {
			if !strings.Contains(text, want) {
				t.Errorf("%s: expected %q", name, want)
			}
		}
		if name == "svg" {
			wellFormed(t, raw)
		}
	}
}

func wellFormed(t *testing.T, raw []byte) {
	t.Helper()
	decoder := xml.NewDecoder(strings.NewReader(string(raw)))
	for {
		_, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Fatalf("not well-formed: %v in %s", err, raw)
		}
	}
}

func TestTextOfATrace(t *testing.T) {
	var out strings.Builder
	m := &mouth{out: &out}
	m.traceText(hostile())
	if strings.Contains(out.String(), "\x1b") {
		t.Errorf("a terminal escape gets through: %q", out.String())
	}
	for _, want := range []string{"www.example.com. TXT: bogus", "  a: bogus: ", "what to do: "} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("expected %q in %s", want, out.String())
		}
	}
}
