package rollover

import (
	"fmt"
	"strings"
)

// Drawing is a kind as a picture of lanes over time, in SVG: what the zone
// publishes and who signs it, what the parent has, what caches may hold of each
// record, and what each step waits for. Lengths mean nothing; the order does.
func (k Kind) Drawing() string {
	d := drawing{kind: k, story: k.story()}
	d.lanes()
	d.waits()
	return d.page()
}

// Geometry, in pixels. Time runs from left to right.
const (
	drawWidth = 980
	drawLeft  = 178 // where lanes begin: how it was before
	drawFirst = 248 // the first step
	drawLater = 390 // the first step, if something is waited for before it
	drawLast  = 925 // the last one
	drawRight = 960
	drawTop   = 58
	laneGap   = 46
	laneTall  = 34
	waitGap   = 30
)

type drawing struct {
	kind Kind
	story
	body strings.Builder
	y    int
}

// at is where a step stands; -1 is the beginning.
func (d *drawing) at(step int) int {
	if step < 0 {
		return drawLeft
	}
	first := drawFirst
	if len(d.kind.Steps[0].Waits) > 0 {
		first = drawLater
	}
	return first + step*(drawLast-first)/(len(d.kind.Steps)-1)
}

// late is how much later the parent has what a step asks for: it takes its time.
func (d *drawing) late() int { return (d.at(1) - d.at(0)) * 2 / 5 }

func (d *drawing) print(format string, args ...any) { fmt.Fprintf(&d.body, "  "+format+"\n", args...) }

func (d *drawing) lanes() {
	d.y = drawTop
	keys, data := d.kind.signsKeys(), d.kind.signsData()
	d.lane("zone: DNSKEY set", 0, func(m moment) edition { return edition{sides: m.published} })
	if keys {
		d.lane("zone: signs keys", 0, func(m moment) edition { return edition{by: m.keys} })
	}
	if data {
		d.lane("zone: signs data", 0, func(m moment) edition { return edition{by: m.data} })
	}
	if keys {
		d.lane("parent: DS set", d.late(), func(m moment) edition { return edition{sides: m.ds} })
	}
	d.cached("caches: DNSKEY set", RecordDNSKEY, 0)
	if data {
		d.cached("caches: data", RecordData, 0)
	}
	if keys {
		d.cached("caches: DS set", RecordDS, d.late())
	}
}

// edge is a place from where on a lane shows something else.
type edge struct {
	x        int
	versions []edition
}

// lane draws what servers show.
func (d *drawing) lane(name string, late int, shows func(moment) edition) {
	edges := []edge{{drawLeft, []edition{shows(d.moments[0])}}}
	for i, m := range d.moments[1:] {
		edges = append(edges, edge{d.at(i) + late, []edition{shows(m)}})
	}
	d.boxes(name, edges)
}

// cached draws what caches may hold: what is settled before a step has put an
// end to, and what the step begins.
func (d *drawing) cached(name string, r Record, late int) {
	edges := []edge{{drawLeft, d.held[0][r]}}
	for i := range d.kind.Steps {
		edges = append(edges, edge{d.at(i), d.settled[i][r]}, edge{d.at(i) + late, d.held[i+1][r]})
	}
	d.boxes(name, edges)
}

// boxes draws one lane: a box for each run in which nothing changes in it, with
// a band for each version.
func (d *drawing) boxes(name string, edges []edge) {
	d.print(`<text class="lane" x="8" y="%d">%s</text>`, d.y+22, name)
	for i := 0; i < len(edges); {
		next := i + 1
		for next < len(edges) && same(edges[next].versions, edges[i].versions) {
			next++
		}
		to := drawRight
		if next < len(edges) {
			to = edges[next].x
		}
		if to > edges[i].x {
			d.bands(edges[i].x, to, edges[i].versions)
		}
		i = next
	}
	d.y += laneGap
}

// bands draws one box. Words that do not fit are left out.
func (d *drawing) bands(from, to int, versions []edition) {
	tall := laneTall / len(versions)
	for i, v := range versions {
		y := d.y + i*tall
		d.print(`<rect class="%s" x="%d" y="%d" width="%d" height="%d"/>`, v.class(), from, y, to-from, tall)
		text := v.String()
		for _, font := range []struct{ class, wide, tall int }{{14, 8, 30}, {11, 6, 14}, {9, 5, 9}} {
			if tall >= font.tall && to-from > font.wide*len(text) {
				d.print(`<text class="f%d" x="%d" y="%d" text-anchor="middle">%s</text>`, font.class, (from+to)/2, y+tall/2+font.class/3+1, text)
				break
			}
		}
	}
}

// waits draws what is waited for before each step, from when it can begin to hold.
func (d *drawing) waits() {
	d.print(`<text class="lane" x="8" y="%d">waits</text>`, d.y+18)
	d.y += 12
	for i, step := range d.kind.Steps {
		for _, w := range step.Waits {
			from := d.since(i, w) + 8
			d.print(`<path class="wait" d="M%d %dH%d"/><path class="tip" d="M%d %dl-8 -4v8z"/><path class="wait" d="M%d %dv10"/>`, from, d.y, d.at(i)-7, d.at(i), d.y, from, d.y-5)
			d.print(`<text class="note" x="%d" y="%d" text-anchor="end">%s</text>`, d.at(i)-3, d.y+14, w)
			d.y += waitGap
		}
	}
}

// since is from where on servers show what a step waits for.
func (d *drawing) since(step int, w Wait) int {
	for step > 0 && d.kind.edition(d.moments[step-1], w.Record).fits(w.Statement) {
		step--
	}
	if step > 0 && w.Record == RecordDS {
		return d.at(step-1) + d.late()
	}
	return d.at(step - 1)
}

const drawStyle = `    text { font: 14px sans-serif; fill: #1f2328; }
    .lane { font-weight: bold; }
    .step { font-size: 13px; font-style: italic; }
    .note { font-size: 12px; paint-order: stroke; stroke: #ffffff; stroke-width: 4px; stroke-linejoin: round; }
    .f11 { font-size: 11px; }
    .f9 { font-size: 9px; }
    .line { stroke: #57606a; stroke-width: 1; stroke-dasharray: 4 3; }
    .none { fill: none; stroke: #57606a; stroke-dasharray: 2 3; }
    .old { fill: #d8dee4; stroke: #57606a; }
    .both { fill: #f5e3b3; stroke: #7d4e00; }
    .new { fill: #b6e3ff; stroke: #0a4f8f; }
    .wait { fill: none; stroke: #57606a; stroke-width: 1.5; }
    .tip { fill: #57606a; }
    @media (prefers-color-scheme: dark) {
      text { fill: #e6edf3; }
      .note { stroke: #0d1117; }
      .line, .none { stroke: #8b949e; }
      .old { fill: #30363d; stroke: #8b949e; }
      .both { fill: #4d3800; stroke: #d29922; }
      .new { fill: #0c2d6b; stroke: #58a6ff; }
      .wait { stroke: #8b949e; }
      .tip { fill: #8b949e; }
    }
`

// page puts the picture together; the lines of the steps are behind the lanes.
func (d *drawing) page() string {
	var out, lines strings.Builder
	for i, s := range d.kind.Steps {
		fmt.Fprintf(&lines, "  <path class=\"line\" d=\"M%d 34V%d\"/>\n  <text class=\"step\" x=\"%d\" y=\"26\" text-anchor=\"middle\">%s</text>\n", d.at(i), d.y, d.at(i), s.Name)
	}
	fmt.Fprintf(&out, "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" width=\"%d\" height=\"%d\" role=\"img\" aria-labelledby=\"t d\">\n", drawWidth, d.y+8, drawWidth, d.y+8)
	fmt.Fprintf(&out, "  <title id=\"t\">%s (%s)</title>\n  <desc id=\"d\">Lanes over time. %s</desc>\n  <style>\n%s  </style>\n", d.kind.Type, d.kind.Method, d.words(), drawStyle)
	out.WriteString(lines.String() + d.body.String() + "</svg>\n")
	return out.String()
}

// words is the picture for those who cannot see it.
func (d *drawing) words() string {
	var parts []string
	for _, s := range d.kind.Steps {
		text := s.Name + ": " + joined(s.Actions)
		if len(s.Waits) > 0 {
			text = s.Name + ", after " + joined(s.Waits) + ": " + joined(s.Actions)
		}
		parts = append(parts, text+".")
	}
	return strings.Join(parts, " ")
}

// DrawingName is the file name of the drawing of a kind.
func (k Kind) DrawingName() string { return k.Type + "-" + k.Method + ".svg" }
