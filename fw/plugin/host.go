package plugin

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"
	"unicode"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"
)

// imports are the functions that guests may import, by module and name.
type imports map[string]map[string]signature

// provide adds the modules that guests may import to a runtime.
func provide(ctx context.Context, r wazero.Runtime) (imports, error) {
	edged := r.NewHostModuleBuilder("edged")
	for _, f := range []struct {
		name string
		signature
		call func(in *instance, stack []uint64)
	}{
		{"log", signature{i32 + i32 + i32, ""}, (*instance).hostLog},
		{"emit", signature{i32 + i32, ""}, (*instance).hostEmit},
		{"clock", signature{"", i64}, (*instance).hostClock},
	} {
		export(edged, f.name, f.signature, f.call)
	}
	wasi := r.NewHostModuleBuilder(wasi_snapshot_preview1.ModuleName)
	wasi_snapshot_preview1.NewFunctionExporter().ExportFunctions(wasi)
	// wazero's sleeps as long as the guest wishes,
	export(wasi, "poll_oneoff", signature{i32 + i32 + i32 + i32, i32}, (*instance).pollOneoff)
	// and looks at all the bytes of a path, or all the places to read to, before it finds that there is
	// nothing: a loop of such calls is a long one between two looks at the clock.
	export(wasi, "fd_read", signature{i32 + i32 + i32 + i32, i32}, (*instance).fdRead)
	for name, params := range withoutFiles {
		export(wasi, name, signature{params, i32}, func(_ *instance, stack []uint64) { stack[0] = errnoBadf })
	}

	host := imports{}
	for _, b := range []wazero.HostModuleBuilder{edged, wasi} {
		m, err := b.Compile(ctx)
		if err != nil {
			return nil, err
		}
		i, err := r.InstantiateModule(ctx, m, wazero.NewModuleConfig())
		if err != nil {
			return nil, err
		}
		host[i.Name()] = map[string]signature{}
		for name, d := range m.ExportedFunctions() {
			host[i.Name()][name] = signature{string(d.ParamTypes()), string(d.ResultTypes())}
		}
	}
	return host, nil
}

func export(b wazero.HostModuleBuilder, name string, s signature, call func(*instance, []uint64)) {
	b.NewFunctionBuilder().WithGoFunction(api.GoFunc(func(ctx context.Context, stack []uint64) {
		in := ctx.Value(instanceKey{}).(*instance)
		in.tick()
		call(in, stack)
	}), []byte(s.params), []byte(s.results)).Export(name)
}

// given returns bytes that the guest points to; what is out of its memory ends the call.
func (in *instance) given(ptr, size uint64) []byte {
	b, ok := in.memory.read(uint32(ptr), uint32(size))
	if !ok {
		panic(fmt.Errorf("%d bytes at %#x are outside of its memory", uint32(size), uint32(ptr)))
	}
	return b
}

// levels are those of the guest's log, as log/slog has them.
var levels = [...]slog.Level{slog.LevelDebug, slog.LevelInfo, slog.LevelWarn, slog.LevelError}

func (in *instance) hostLog(stack []uint64) {
	level := levels[min(uint32(stack[0]), uint32(len(levels)-1))]
	line := in.given(stack[1], stack[2])
	in.say(level, line[:min(len(line), maxLine)])
}

func (in *instance) hostEmit(stack []uint64) {
	if err := in.plugin.emit(in.given(stack[0], stack[1])); err != nil {
		panic(fmt.Errorf("emit: %w", err))
	}
}

func (in *instance) hostClock(stack []uint64) {
	stack[0] = uint64(in.plugin.opts.Clock().Milliseconds())
}

// say logs a line of the guest.
func (in *instance) say(level slog.Level, line []byte) {
	in.lastLine = clean(string(line))
	in.plugin.guestLine(level, in.lastLine)
}

// clean makes one line of text that a terminal shows as it is.
func clean(s string) string {
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if controls(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "\uFFFD")))
}

// controls reports whether a character does something to the text around it: control characters,
// ends of lines and paragraphs (U+2028 and 2029), and those that have others shown in another order
// than they come (U+202A to 202E, U+2066 to 2069).
func controls(r rune) bool {
	return unicode.IsControl(r) || r >= 0x2028 && r <= 0x202e || r >= 0x2066 && r <= 0x2069
}

// brief is as much of an error as belongs in a log: it may quote what a guest has made up.
func brief(s string) string { return clean(s[:min(len(s), maxLine)]) }

// lines makes log lines of what a guest writes to a stream.
type lines struct {
	in    *instance
	level slog.Level
	buf   []byte
}

var _ io.Writer = (*lines)(nil)

// Write implements [io.Writer]. What a line has beyond its limit is lost.
func (l *lines) Write(p []byte) (int, error) {
	l.in.tick()
	for _, c := range p[:min(len(p), 1<<16)] {
		if c == '\n' {
			l.flush()
		} else if len(l.buf) < maxLine {
			l.buf = append(l.buf, c)
		}
	}
	return len(p), nil
}

// flush logs a line without end.
func (l *lines) flush() {
	if len(l.buf) > 0 {
		l.in.say(l.level, l.buf)
		if l.level == slog.LevelWarn && l.in.words == "" {
			l.in.words = l.in.lastLine
		}
		l.buf = l.buf[:0]
	}
}

// quota lets n things pass in a minute.
type quota struct {
	n     int
	since time.Duration
	used  int
	over  int // of this minute, not passed
}

// take says whether one more may pass. In a new minute, over is how many of the last one did
// not.
func (q *quota) take(now time.Duration) (ok bool, over int) {
	if now-q.since >= time.Minute {
		over, q.over = q.over, 0
		q.since, q.used = now, 0
	}
	if q.used >= q.n {
		q.over++
		return false, over
	}
	q.used++
	return true, over
}
