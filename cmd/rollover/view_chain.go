package main

import (
	"bytes"
	"fmt"
	"html/template"
	"strings"

	"rollover/rollover"
	"rollover/rollover/chain"
)

// The colours of security states, as DNSViz has them.
func colour(l chain.Link) string {
	switch {
	case l.Code == chain.CodeExpired:
		return "#6131a3"
	case l.Mark == chain.MarkWarning:
		return "#f4b800"
	}
	return map[rollover.Security]string{
		rollover.Secure: "#0a879a", rollover.Insecure: "#444444", rollover.Bogus: "#be1515", rollover.Indeterminate: "#f4b800",
	}[l.Security]
}

// box is one link as it is drawn.
type box struct {
	Y, Height   int
	Title, Mark string
	Colour      string
	Lines       []string
	Dashed      bool
	Last        bool
}

// Sizes of the drawing, in pixels.
const (
	lineStep  = 18
	boxGap    = 34
	boxTop    = 30
	boxFoot   = 8
	lineChars = 108 // what fits into a box
)

func boxes(t chain.Trace) (out []box, height int) {
	y := 10
	for i, l := range t.Links {
		b := box{Y: y, Title: fmt.Sprintf("%s %s", linkName(l), linkType(l)), Mark: string(l.Mark), Colour: colour(l), Dashed: l.Mark == chain.MarkBroken, Last: i == len(t.Links)-1}
		for _, text := range append([]string{linkWhat(l) + linkAsked(l)}, linkServers(l)...) {
			b.Lines = append(b.Lines, folded(plain(strings.TrimSpace(text)))...)
		}
		b.Height = boxTop + boxFoot + lineStep*len(b.Lines)
		y += b.Height + boxGap
		out = append(out, b)
	}
	return out, y
}

// folded is a text in lines that fit into a box.
func folded(text string) []string {
	var out []string
	line := ""
	for _, word := range strings.Fields(text) {
		for len(word) > lineChars {
			word = word[:lineChars]
		}
		if line != "" && len(line)+1+len(word) > lineChars {
			out, line = append(out, line), ""
		}
		line = strings.TrimSpace(line + " " + word)
	}
	if line != "" {
		out = append(out, line)
	}
	return out
}

var drawings = template.Must(template.New("").Funcs(template.FuncMap{
	"add": func(a, b int) int { return a + b }, "row": func(y, i int) int { return y + 42 + 18*i },
}).Parse(`{{define "svg"}}<svg xmlns="http://www.w3.org/2000/svg" width="880" height="{{.Height}}" viewBox="0 0 880 {{.Height}}" font-family="sans-serif" font-size="13" role="img">
<title>{{.Trace.Name}} {{.Trace.Type}}: {{.Trace.Sentence}}</title>
<rect width="100%" height="100%" fill="#ffffff"/>
{{range .Boxes}}<g><rect x="10" y="{{.Y}}" width="860" height="{{.Height}}" rx="8" fill="#ffffff" stroke="{{.Colour}}" stroke-width="3"{{if .Dashed}} stroke-dasharray="8 5"{{end}}/>
<text x="24" y="{{add .Y 21}}" font-weight="bold" fill="{{.Colour}}">{{.Title}}</text><text x="856" y="{{add .Y 21}}" text-anchor="end" fill="{{.Colour}}">{{.Mark}}</text>
{{$y := .Y}}{{range $i, $line := .Lines}}<text x="24" y="{{row $y $i}}" fill="#222222">{{$line}}</text>
{{end}}{{if not .Last}}<path d="M440 {{add .Y .Height}} v24 m-6 -8 l6 9 l6 -9" fill="none" stroke="{{.Colour}}" stroke-width="2"/>{{end}}</g>
{{end}}</svg>
{{end}}{{define "html"}}<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>{{.Trace.Name}} {{.Trace.Type}}: {{.Trace.Security}}</title>
<style>body{font-family:sans-serif;max-width:900px;margin:2em auto;padding:0 1em}svg{max-width:100%;height:auto}</style></head>
<body><h1>{{.Trace.Name}} {{.Trace.Type}}: {{.Trace.Security}}</h1>
<p>{{.Trace.Sentence}}</p>{{if .Trace.Remedy}}
<p><strong>What to do:</strong> {{.Trace.Remedy}}</p>{{end}}
<p>Traced at {{.At}}.</p>
{{template "svg" .}}</body></html>
{{end}}`))

func drawing(name string, t chain.Trace) ([]byte, error) {
	all, height := boxes(t)
	var out bytes.Buffer
	t.Sentence, t.Remedy = plain(t.Sentence), plain(t.Remedy)
	err := drawings.ExecuteTemplate(&out, name, map[string]any{"Trace": t, "Boxes": all, "Height": height, "At": stamp(t.At)})
	return out.Bytes(), err
}

// traceSVG is the chain as a picture: one file, no script.
func traceSVG(t chain.Trace) ([]byte, error) { return drawing("svg", t) }

// traceHTML is a page with the picture, the sentence and the remedy: one file,
// no script, nothing loaded from elsewhere.
func traceHTML(t chain.Trace) ([]byte, error) { return drawing("html", t) }
