package main

import (
	"encoding/xml"
	"fmt"
	"math"
	"strings"
)

// bar is one line of a plot.
type bar struct {
	label   string
	mine    bool // a pgorigin, in colour
	spread  spread
	missing string // says why there is no bar
}

// panel is one plot: bars over one axis.
type panel struct {
	title, axis string
	bars        []bar
}

// Sizes in pixels. Panels stand two in a row.
const (
	panelWidth, labelWidth, valueWidth = 430, 144, 62
	barHeight, barGap                  = 13, 8
	headHeight, axisHeight, margin     = 36, 56, 16
	plotWidth                          = panelWidth - labelWidth - valueWidth
)

// style has the colours of both schemes. The plot brings its own ground: the page around it may follow another scheme.
const style = `
.ground{fill:#fff;stroke:#d0d7de}.text{fill:#1f2328}.soft{fill:#59636e}.grid{stroke:#d8dee4}.axis{stroke:#8c959f}
.mine{fill:#0969da}.peer{fill:#afb8c1}.whisker{stroke:#1f2328;stroke-width:1.2}
@media(prefers-color-scheme:dark){.ground{fill:#0d1117;stroke:#3d444d}.text{fill:#f0f6fc}.soft{fill:#9198a1}.grid{stroke:#2a313c}
.axis{stroke:#656c76}.mine{fill:#4493f8}.peer{fill:#57606a}.whisker{stroke:#f0f6fc}}
text{font:12px system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}.title{font-size:13px;font-weight:600}.small{font-size:11px}
.end{text-anchor:end}.middle{text-anchor:middle}`

// drawing writes SVG.
type drawing struct{ strings.Builder }

// plot draws panels under a title that is for those who cannot see them.
func plot(title string, panels []panel) string {
	var d drawing
	columns := min(2, len(panels))
	height := 0
	for i := 0; i < len(panels); i += columns {
		height += rowHeight(panels[i:min(len(panels), i+columns)])
	}
	w, h := columns*(panelWidth+margin)+margin, height+margin
	fmt.Fprintf(&d, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" role="img">`, w, h, w, h)
	fmt.Fprintf(&d, "<title>%s</title><style>%s</style>\n", escape(title), style)
	fmt.Fprintf(&d, `<rect class="ground" x="0.5" y="0.5" width="%d" height="%d" rx="8"/>`+"\n", w-1, h-1)
	y := margin
	for i := 0; i < len(panels); i += columns {
		line := panels[i:min(len(panels), i+columns)]
		for column, p := range line {
			fmt.Fprintf(&d, `<g transform="translate(%d %d)">`+"\n", margin+column*(panelWidth+margin), y)
			d.panel(p)
			d.WriteString("</g>\n")
		}
		y += rowHeight(line)
	}
	d.WriteString("</svg>\n")
	return d.String()
}

func rowHeight(line []panel) (height int) {
	for _, p := range line {
		height = max(height, headHeight+len(p.bars)*(barHeight+barGap)+axisHeight)
	}
	return height
}

// panel draws at the origin.
func (d *drawing) panel(p panel) {
	d.text("text title", 0, 14, p.title)
	bottom := headHeight + len(p.bars)*(barHeight+barGap)
	step, top := scale(p.bars)
	x := func(v float64) float64 { return labelWidth + plotWidth*v/top }
	for tick := 0.0; tick <= top*1.001; tick += step {
		fmt.Fprintf(d, `<line class="grid" x1="%.1f" y1="%d" x2="%.1f" y2="%d"/>`, x(tick), headHeight-8, x(tick), bottom)
		d.text("soft small middle", x(tick), bottom+14, tickText(tick))
	}
	fmt.Fprintf(d, `<line class="axis" x1="%d" y1="%d" x2="%d" y2="%d"/>`+"\n", labelWidth, headHeight-8, labelWidth, bottom)
	d.text("soft small middle", labelWidth+plotWidth/2, bottom+30, p.axis)
	for i, b := range p.bars {
		d.bar(b, headHeight+i*(barHeight+barGap), x)
	}
}

// bar draws one bar with its label, its value and a whisker from quartile to quartile.
func (d *drawing) bar(b bar, y int, x func(float64) float64) {
	middle := float64(y) + barHeight/2.0
	d.text("text end", labelWidth-8, y+barHeight-2, b.label)
	if b.missing != "" {
		d.text("soft small", labelWidth+6, y+barHeight-2, b.missing)
		return
	}
	class := "peer"
	if b.mine {
		class = "mine"
	}
	fmt.Fprintf(d, `<rect class="%s" x="%d" y="%d" width="%.1f" height="%d" rx="2"/>`,
		class, labelWidth, y, math.Max(1, x(b.spread.median)-labelWidth), barHeight)
	if b.spread.low != b.spread.high {
		low, high := x(b.spread.low), x(b.spread.high)
		fmt.Fprintf(d, `<path class="whisker" fill="none" d="M%.1f %.1fH%.1fM%.1f %.1fv6M%.1f %.1fv6"/>`,
			low, middle, high, low, middle-3, high, middle-3)
	}
	d.text("text small", x(math.Max(b.spread.high, b.spread.median))+6, y+barHeight-2, digits(b.spread.median))
	d.WriteByte('\n')
}

func (d *drawing) text(class string, x, y any, text string) {
	fmt.Fprintf(d, `<text class="%s" x="%v" y="%v">%s</text>`, class, x, y, escape(text))
}

// scale returns the distance of ticks and the end of an axis that holds all bars: 1, 2 or 5 times a power of ten.
func scale(bars []bar) (step, top float64) {
	for _, b := range bars {
		top = math.Max(top, math.Max(b.spread.high, b.spread.median))
	}
	if top <= 0 {
		return 1, 1
	}
	step = math.Pow(10, math.Floor(math.Log10(top/2)))
	for _, factor := range []float64{1, 2, 5} {
		if top/(step*factor) <= 5 {
			step *= factor
			break
		}
	}
	return step, step * math.Ceil(top/step)
}

// tickText writes thousands as k and millions as M.
func tickText(v float64) string {
	switch {
	case v >= 1e6:
		return fmt.Sprintf("%gM", v/1e6)
	case v >= 1e4:
		return fmt.Sprintf("%gk", v/1e3)
	}
	return fmt.Sprintf("%.4g", v)
}

func escape(text string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(text)) // a Builder takes everything
	return b.String()
}
