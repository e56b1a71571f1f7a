package rollover

import (
	"fmt"
	"slices"
	"strings"
)

// Drawing is a kind as a picture of lanes over time, in SVG: what is published,
// who signs, what the parent has, and what each step waits for. Lengths mean
// nothing; the order does.
func (k Kind) Drawing() string {
	d := drawing{kind: k}
	d.walk()
	d.lanes()
	d.waits()
	return d.page()
}

// Geometry, in pixels. Time runs from left to right.
const (
	drawWidth = 980
	drawLeft  = 170 // where lanes begin: how it was before
	drawFirst = 230 // the first step
	drawLast  = 925 // the last one
	drawRight = 960
	drawTop   = 58
	laneGap   = 46
	laneTall  = 34
	waitGap   = 30
)

// moment is which sides do what from one step on.
type moment struct {
	published, keys, data, ds []Side
}

type drawing struct {
	kind    Kind
	moments []moment // before the first step, and after each
	body    strings.Builder
	y       int
}

func with(sides []Side, s Side) []Side {
	if slices.Contains(sides, s) {
		return sides
	}
	return slices.Sorted(slices.Values(append(slices.Clone(sides), s)))
}

func less(sides []Side, s Side) []Side {
	return slices.DeleteFunc(slices.Clone(sides), func(o Side) bool { return o == s })
}

// walk finds what each step makes of the zone.
func (d *drawing) walk() {
	old := []Side{Old}
	now := moment{old, old, old, old}
	if d.kind.Type == "sign" {
		now = moment{}
	}
	d.moments = []moment{now}
	for _, step := range d.kind.Steps {
		for _, a := range step.Actions {
			now = now.after(a)
		}
		d.moments = append(d.moments, now)
	}
}

func (m moment) after(a Action) moment {
	switch a.Verb {
	case publish:
		m.published = with(m.published, a.Sides[0])
	case unpublish:
		m.published = less(m.published, a.Sides[0])
	case activate:
		m.keys, m.data = with(m.keys, a.Sides[0]), with(m.data, a.Sides[0])
	case activateEntry:
		m.keys = with(m.keys, a.Sides[0])
	case deactivate:
		m.keys, m.data = less(m.keys, a.Sides[0]), less(m.data, a.Sides[0])
	case remove:
		m.published, m.keys, m.data = less(m.published, a.Sides[0]), less(m.keys, a.Sides[0]), less(m.data, a.Sides[0])
	case askParent:
		m.ds = nil
		for _, s := range a.Sides {
			m.ds = with(m.ds, s)
		}
	}
	return m
}

// at is where a step stands; -1 is the beginning.
func (d *drawing) at(step int) int {
	if step < 0 {
		return drawLeft
	}
	return drawFirst + step*(drawLast-drawFirst)/(len(d.kind.Steps)-1)
}

func (d *drawing) print(format string, args ...any) { fmt.Fprintf(&d.body, "  "+format+"\n", args...) }

func (d *drawing) lanes() {
	d.y = drawTop
	d.lane("DNSKEY set", 0, "", func(m moment) []Side { return m.published })
	if d.kind.signsKeys() {
		d.lane("signatures (keys)", 0, "by ", func(m moment) []Side { return m.keys })
	}
	if d.kind.signsData() {
		d.lane("signatures (data)", 0, "by ", func(m moment) []Side { return m.data })
	}
	if d.kind.signsKeys() {
		// The parent takes its time.
		d.lane("DS at parent", (d.at(1)-d.at(0))*2/5, "", func(m moment) []Side { return m.ds })
	}
}

// lane draws one lane: a box for each run of steps in which nothing changes in it.
func (d *drawing) lane(name string, late int, by string, sides func(moment) []Side) {
	d.print(`<text class="lane" x="8" y="%d">%s</text>`, d.y+22, name)
	from := drawLeft
	for i := range d.moments {
		if i+1 < len(d.moments) && slices.Equal(sides(d.moments[i]), sides(d.moments[i+1])) {
			continue
		}
		to := drawRight
		if i+1 < len(d.moments) {
			to = d.at(i) + late
		}
		d.box(from, to, by, sides(d.moments[i]))
		from = to
	}
	d.y += laneGap
}

func (d *drawing) box(from, to int, by string, sides []Side) {
	class, text := "none", "none"
	if len(sides) > 0 {
		words := make([]string, len(sides))
		for i, s := range slices.Backward(sides) { // old before new
			words[len(sides)-1-i] = string(s)
		}
		class, text = words[0], by+strings.Join(words, ", ")
	}
	if len(sides) > 1 {
		class = "both"
	}
	d.print(`<rect class="%s" x="%d" y="%d" width="%d" height="%d"/>`, class, from, d.y, to-from, laneTall)
	if to-from > 7*len(text) {
		d.print(`<text x="%d" y="%d" text-anchor="middle">%s</text>`, (from+to)/2, d.y+22, text)
	}
}

// waits draws what is waited for before each step.
func (d *drawing) waits() {
	d.print(`<text class="lane" x="8" y="%d">waits</text>`, d.y+18)
	d.y += 12
	for i, step := range d.kind.Steps {
		for _, w := range step.Waits {
			from := d.at(i-1) + 8
			if w.Record == RecordDS {
				from += (d.at(1) - d.at(0)) * 2 / 5
			}
			d.print(`<path class="wait" d="M%d %dH%d"/><path class="tip" d="M%d %dl-8 -4v8z"/><path class="wait" d="M%d %dv10"/>`, from, d.y, d.at(i)-7, d.at(i), d.y, from, d.y-5)
			d.print(`<text class="note" x="%d" y="%d" text-anchor="end">%s</text>`, d.at(i)-3, d.y+14, w)
			d.y += waitGap
		}
	}
}

const drawStyle = `    text { font: 14px sans-serif; fill: #1f2328; }
    .lane { font-weight: bold; }
    .step { font-size: 13px; font-style: italic; }
    .note { font-size: 12px; }
    .line { stroke: #57606a; stroke-width: 1; stroke-dasharray: 4 3; }
    .none { fill: none; stroke: #57606a; stroke-dasharray: 2 3; }
    .old { fill: #d8dee4; stroke: #57606a; }
    .both { fill: #f5e3b3; stroke: #7d4e00; }
    .new { fill: #b6e3ff; stroke: #0a4f8f; }
    .wait { fill: none; stroke: #57606a; stroke-width: 1.5; }
    .tip { fill: #57606a; }
    @media (prefers-color-scheme: dark) {
      text { fill: #e6edf3; }
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

// Drawn says whether there is a drawing of a kind: the ways back begin at many
// places and have none.
func (k Kind) Drawn() bool { return !k.back() }
