package main

import (
	"os"
	"strings"
)

// terminal is a terminal that can show pictures made of coloured half blocks.
type terminal struct {
	out  *os.File
	rich bool // 24-bit colours

	restore func() // of the line discipline; set by enter
}

// openTerminal looks whether f is a terminal for pictures. It is not when it is
// none at all, when this process runs in its background, when the user wants no
// colours (NO_COLOR, TERM=dumb) or has no UTF-8.
func openTerminal(f *os.File, getenv func(string) string) (*terminal, bool) {
	colors := colorsOf(getenv)
	if colors == 0 || !isUTF8(getenv) || !inForeground(f) {
		return nil, false
	}
	if w, h := terminalSize(f); w == 0 || h == 0 {
		return nil, false
	}
	return &terminal{out: f, rich: colors > 256}, true
}

// colorsOf is the number of colours the environment promises: 0 when pictures
// are not wanted, 256, or 1<<24. Terminals that name neither know 256.
func colorsOf(getenv func(string) string) int {
	term := getenv("TERM")
	if getenv("NO_COLOR") != "" || term == "" || term == "dumb" || strings.HasPrefix(term, "vt") {
		return 0
	}
	if c := getenv("COLORTERM"); c == "truecolor" || c == "24bit" || strings.HasSuffix(term, "-direct") {
		return 1 << 24
	}
	return 256
}

// isUTF8 asks the locale as C programs do. A locale that names no character set
// is no obstacle: containers have "C" on terminals that know UTF-8.
func isUTF8(getenv func(string) string) bool {
	for _, name := range []string{"LC_ALL", "LC_CTYPE", "LANG"} {
		if v := getenv(name); v != "" {
			_, set, named := strings.Cut(v, ".")
			set, _, _ = strings.Cut(set, "@")
			set = strings.ToLower(strings.ReplaceAll(set, "-", ""))
			return !named || set == "utf8"
		}
	}
	return true
}

// Escape sequences: alternate screen, no cursor, no line wrap; and back.
const (
	enterScreen = "\x1b[?1049h\x1b[?25l\x1b[?7l"
	leaveScreen = "\x1b[0m\x1b[?7h\x1b[?25h\x1b[?1049l"
)

// enter takes the screen over. Keys are not shown, Ctrl-C works, Ctrl-Z does not
// (it would leave the shell on our screen).
func (t *terminal) enter() error {
	t.restore = quietKeys(os.Stdin)
	_, err := t.out.WriteString(enterScreen)
	return err
}

// leave gives the screen back as it was; typed keys are forgotten.
func (t *terminal) leave() error {
	_, err := t.out.WriteString(leaveScreen)
	if t.restore != nil {
		t.restore()
		t.restore = nil
	}
	return err
}
