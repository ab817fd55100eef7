package main

import (
	"fmt"
	"image"
	"os"
	"strings"
	"sync"

	"github.com/visualrwkv/edged/edge"
	"github.com/visualrwkv/edged/wire"
)

// terminalView shows the views side by side with the caption below them.
type terminalView struct {
	term *terminal

	mu     sync.Mutex
	screen screen
	page   page

	winch chan os.Signal
	stop  func()
	done  chan struct{}
}

func newTerminalView(t *terminal) *terminalView { return &terminalView{term: t} }

func (v *terminalView) begin(d *demo, socket string) error {
	p := &v.page
	p.title = "edged demo"
	if d.demoFlags.model != "" {
		p.title += " · " + printable(d.model.Name())
	}
	if d.source != "" {
		p.title += " · " + printable(d.source)
	} else {
		p.title += fmt.Sprintf(" · a simulated room, seed %d", d.seed)
	}
	p.ask = askHint(socket)
	p.tally = &d.tally
	for _, view := range d.views {
		p.views = append(p.views, pageView{name: printable(view.Name)})
	}
	if err := v.term.enter(); err != nil {
		return err
	}
	v.winch, v.done = make(chan os.Signal, 1), make(chan struct{})
	v.stop = notifyResize(v.winch)
	go func() {
		defer close(v.done)
		for range v.winch {
			v.draw()
		}
	}()
	return v.draw()
}

// draw brings the terminal up to date, whatever its size is now.
func (v *terminalView) draw() error {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.drawLocked()
}

func (v *terminalView) drawLocked() error {
	w, h := terminalSize(v.term.out)
	if w <= 0 || h <= 0 {
		return nil
	}
	if w != v.screen.w || h != v.screen.h {
		v.screen.resize(min(w, maxColumns), min(h, maxRows))
	}
	v.screen.rich = v.term.rich
	v.page.draw(&v.screen)
	_, err := v.term.out.Write(v.screen.flush())
	return err
}

// Sizes beyond these are nobody's window.
const maxColumns, maxRows = 1000, 500

// Pictures are kept no larger than this between redraws.
const keepWidth, keepHeight = 480, 360

func (v *terminalView) step(s *edge.Step, c *verdict) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	p := &v.page
	for i, f := range s.Set.Frames {
		if f.Image != nil {
			p.views[i].img = reduced(p.views[i].img, f.Image, keepWidth, keepHeight)
		}
	}
	p.frame, p.state = s.Set.Number, s.State
	p.vision, p.encode = s.MS.Vision, s.MS.Encode
	if c != nil {
		p.decode = c.ms.Decode
		p.tell(c)
	}
	return v.drawLocked()
}

func (v *terminalView) alert(e *wire.Event) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.page.tell(&verdict{frame: uint64(e.Frame), text: e.Text, tags: e.Tags, alert: true})
	return v.drawLocked()
}

// tell adds a caption or an alert to those that are shown.
func (p *page) tell(c *verdict) {
	p.captions = append(p.captions, c)
	if n := len(p.captions); n > keepCaptions {
		p.captions = append(p.captions[:0], p.captions[n-keepCaptions:]...)
	}
}

const keepCaptions = 100

func (v *terminalView) note(text string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.page.note = printable(text)
	v.drawLocked() // a terminal that is gone is noticed by step
}

func (v *terminalView) end(s *summary) error {
	if v.stop != nil {
		v.stop()
		close(v.winch)
		<-v.done
	}
	err := v.term.leave()
	if s != nil && err == nil {
		_, err = fmt.Fprintln(v.term.out, s)
	}
	return err
}

// page is what the view shows, and where.
type page struct {
	title, ask, note       string
	views                  []pageView
	frame                  uint64
	state                  int64
	vision, encode, decode float64
	captions               []*verdict // and alerts
	tally                  *tally
}

type pageView struct {
	name string
	img  *image.RGBA // nil before the first frame
}

var (
	green = rgb(80, 200, 90)
	amber = rgb(235, 170, 50)
)

// Rows around the pictures: title, names and a gap above; caption, truth and
// figures below, and then the hint.
const (
	rowsAbove = 3
	rowsBelow = 6
	gap       = 2
)

// draw lays the page out on a screen of any size; what does not fit is cut.
func (p *page) draw(s *screen) {
	s.clear()
	if s.h < 6 { // the caption, and nothing else
		p.drawCaptions(s, 0, s.h-1)
		return
	}
	s.text(1, 0, p.title, 0, bold)
	bottom := s.h - p.drawHint(s)
	y := rowsAbove + p.drawViews(s, rowsAbove, bottom-rowsBelow) + 1
	last := bottom - 2 // below it stand the figures, and a note above them
	if p.note != "" {
		last--
	}
	p.drawCaptions(s, y, last)
	if p.note != "" {
		s.text(1, bottom-2, p.note, amber, 0)
	}
	s.text(1, bottom-1, p.figures(), 0, dim)
}

// drawHint says in the lowest rows how to ask, and returns how many they are. A
// command that does not fit beside the words has rows of its own, so that it can be
// copied whole.
func (p *page) drawHint(s *screen) int {
	const how = "ask in another terminal:"
	var lines []string
	if columns(" "+how+"  "+p.ask) > s.w && s.w >= 16 {
		lines = shellLines(p.ask, s.w)
	}
	if len(lines) > s.h/3 {
		lines = nil // cut
	}
	y := s.h - 1 - len(lines)
	x := s.text(1, y, how, 0, 0)
	if lines == nil {
		x = s.text(x+2, y, p.ask, green, bold) + 1
	}
	s.text(x+2, y, "Ctrl-C ends", 0, dim)
	for i, line := range lines {
		s.text(0, y+1+i, line, green, bold)
	}
	return 1 + len(lines)
}

// drawCaptions lists the captions from row y to row last, the newest first.
func (p *page) drawCaptions(s *screen, y, last int) {
	if p.frame == 0 {
		s.text(1, y, "looking ...", 0, dim)
	}
	newest := true
	for i := len(p.captions) - 1; i >= 0 && y <= last; i-- {
		c := p.captions[i]
		y = p.drawCaption(s, y, last, c, newest && !c.alert)
		newest = newest && c.alert
	}
}

// drawViews shows the pictures side by side from row y, above row end, and returns
// how many rows they took.
func (p *page) drawViews(s *screen, y, end int) int {
	n := len(p.views)
	w := (s.w - 2 - gap*(n-1)) / n
	h := end - y
	if w < 8 || h < 4 {
		return -1 // no room: the caption matters more
	}
	rows := 0
	x := 1
	for _, v := range p.views {
		iw, ih := 4, 3
		if v.img != nil {
			iw, ih = v.img.Rect.Dx(), v.img.Rect.Dy()
		}
		// As large as the space allows, two pixels to a row.
		cw, ch := w, int(int64(w)*int64(ih)/int64(iw))/2
		if ch > h {
			cw, ch = int(int64(2*h)*int64(iw)/int64(ih)), h
		}
		cw, ch = max(1, min(cw, w)), max(1, ch)
		s.text(x, y-1, v.name, 0, 0)
		if v.img != nil {
			s.picture(x, y, cw, ch, v.img)
		}
		x += cw + gap
		rows = max(rows, ch)
	}
	return rows
}

// drawCaption writes one caption, or an alert, from row y on and returns the row after it. Alerts
// stand out, and so does the newest caption, which has the mark of truth and what the truth is if it differs.
func (p *page) drawCaption(s *screen, y, last int, c *verdict, newest bool) int {
	marks, fg := uint8(dim), paint(0)
	mark := "  "
	if newest {
		marks = bold
	}
	switch {
	case c.alert:
		mark, fg, marks = "! ", amber, bold
	case c.exact:
		mark, fg = "✓ ", green
	case c.known:
		mark, fg = "✗ ", amber
	}
	number := fmt.Sprintf("%6d ", c.frame)
	for i, line := range wrap(printable(c.text+tagged(c.tags)), s.w-len(number)-4) {
		if y > last {
			return y
		}
		if i == 0 {
			x := s.text(0, y, number, 0, dim)
			s.text(x, y, mark, fg, marks&bold)
		}
		s.text(len(number)+2, y, line, 0, marks)
		y++
	}
	if newest && c.known && !c.exact {
		for _, line := range wrap("in truth: "+c.truth, s.w-len(number)-4) {
			if y > last {
				return y
			}
			s.text(len(number)+2, y, line, amber, dim)
			y++
		}
	}
	if newest {
		y++
	}
	return y
}

func (p *page) figures() string {
	f := fmt.Sprintf("#%d", p.frame)
	if e, slots := p.tally.fractions(); e != nil {
		f += fmt.Sprintf(" · true %.0f %%, slots %.0f %%", 100**e, 100**slots)
	}
	return f + fmt.Sprintf(" · vision %.0f, encoder %.0f, text %.0f ms · memory %s", p.vision, p.encode, p.decode, size(p.state))
}

// wrap breaks text at spaces into lines of at most n columns.
func wrap(text string, n int) []string {
	var out []string
	line, used := "", 0
	n = max(n, 8)
	for word := range strings.FieldsSeq(text) {
		w := columns(word)
		if used > 0 && used+1+w > n {
			out = append(out, line)
			line, used = "", 0
		}
		if used > 0 {
			line, used = line+" ", used+1
		}
		line, used = line+word, used+w
	}
	return append(out, line)
}

// shellLines breaks a command into lines of at most w columns, w at least 4, that a
// shell joins again: a backslash ends each but the last. Lines end after a space where
// they can, and begin with what follows, because the space may be in quotes.
func shellLines(command string, w int) []string {
	var lines []string
	for columns(command) > w {
		cut, space, used, quoted := 0, 0, 0, false
		for i, r := range command {
			if !quoted {
				cut = i // not between a backslash and what it quotes
			}
			if used += width(r); used >= w {
				break
			}
			quoted = r == '\\' && !quoted
			if r == ' ' {
				space = i + 1
			}
		}
		if space > 0 {
			cut = space
		}
		lines, command = append(lines, command[:cut]+"\\"), command[cut:]
	}
	return append(lines, command)
}
