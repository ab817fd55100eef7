package plugin

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"
	"github.com/tetratelabs/wazero/sys"
)

// processStart is what guests' monotonic clocks count from.
var processStart = time.Now()

// instance is a plugin's module with memory of its own. One call runs at a time.
type instance struct {
	plugin *Plugin
	module api.Module
	memory *memory
	ctx    context.Context // of calls: it leads functions of the host here

	alloc, frame, caption api.Function
	stack                 [2]uint64 // arguments and results of calls

	// Of the call that runs.
	caller   context.Context
	deadline time.Time
	limit    time.Duration

	out, err lines  // stdout, stderr
	lastLine string // that it logged, clean
	words    string // the first line on stderr in the call that runs
}

// instanceKey finds the instance in the context that its calls run with.
type instanceKey struct{}

type instanceContext struct {
	context.Context
	in *instance
}

// Value implements [context.Context].
func (c instanceContext) Value(key any) any {
	if key == (instanceKey{}) {
		return c.in
	}
	return c.Context.Value(key)
}

// What ends a call other than the guest itself.
var (
	errTime      = errors.New("took too long")
	errCancelled = errors.New("cancelled")
	errDepth     = errors.New("functions call each other too deep")
)

// newInstance makes an instance and starts it: what the module runs by itself, _initialize
// and edged_on_start have one limit together.
func newInstance(ctx context.Context, p *Plugin) (in *instance, err error) {
	in = &instance{plugin: p}
	in.ctx = instanceContext{context.Background(), in}
	in.out, in.err = lines{in: in, level: slog.LevelInfo}, lines{in: in, level: slog.LevelWarn}
	limit := min(uint64(p.opts.Memory), uint64(p.module.layout.maxPages)*pageSize)
	if in.memory, err = newMemory(limit, in); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, in.close())
			in = nil
		}
	}()
	in.begin(ctx, p.limit)
	alloc := experimental.MemoryAllocatorFunc(func(_, _ uint64) experimental.LinearMemory { return in.memory })
	in.module, err = instantiate(experimental.WithMemoryAllocator(in.ctx, alloc), p.module,
		wazero.NewModuleConfig().WithName("").WithStartFunctions().
			WithStdout(&in.out).WithStderr(&in.err).
			WithRandSource(&random{in: in, src: rand.NewChaCha8([32]byte{})}).
			WithSysWalltime().
			WithNanotime(func() int64 { return int64(time.Since(processStart)) }, 1000).
			WithNanosleep(func(ns int64) { in.sleep(time.Duration(ns)) }))
	if err != nil {
		return in, in.reason("its start", err)
	}
	in.alloc = in.module.ExportedFunction(exportAlloc)
	in.frame = in.module.ExportedFunction(exportFrame)
	in.caption = in.module.ExportedFunction(exportCaption)
	return in, in.start()
}

// instantiate makes an error of a panic, like compile.
func instantiate(ctx context.Context, m *Module, cfg wazero.ModuleConfig) (module api.Module, err error) {
	defer func() {
		if v := recover(); v != nil {
			module, err = nil, fmt.Errorf("%v", v)
		}
	}()
	return m.runtime.InstantiateModule(ctx, m.code, cfg)
}

// start is the guest's part of newInstance.
func (in *instance) start() error {
	if f := in.module.ExportedFunction(exportInitialize); f != nil {
		if _, err := in.call(exportInitialize, f); err != nil {
			return err
		}
	}
	v, err := in.call(exportVersion, in.module.ExportedFunction(exportVersion))
	if err != nil {
		return err
	}
	if uint32(v) != abi {
		return fmt.Errorf("%s answers %d, this edged knows %d", exportVersion, uint32(v), abi)
	}
	f := in.module.ExportedFunction(exportStart)
	if f == nil {
		return nil
	}
	v, err = in.hand(exportStart, f, nil, in.plugin.start)
	if err != nil {
		return err
	}
	if uint32(v) != 0 {
		return fmt.Errorf("it refused to start (%d): %s", int32(v), in.lastLine)
	}
	return nil
}

// begin sets the limit for the calls that follow.
func (in *instance) begin(ctx context.Context, limit time.Duration) {
	in.caller, in.limit, in.words = ctx, limit, ""
	in.deadline = time.Now().Add(limit)
}

// tick ends a call whose time is over, from within. Guests come here by what meter.go adds
// to them, and whatever may take long calls it.
func (in *instance) tick() {
	if err := in.over(); err != nil {
		panic(err)
	}
}

func (in *instance) over() error {
	switch {
	case in.caller.Err() != nil || in.plugin.ctx.Err() != nil:
		return errCancelled
	case time.Now().After(in.deadline):
		return errTime
	}
	return nil
}

// sleep is at most until the call's time is over.
func (in *instance) sleep(d time.Duration) {
	if d > 0 {
		t := time.NewTimer(min(d, time.Until(in.deadline)+time.Millisecond))
		defer t.Stop()
		select {
		case <-t.C:
		case <-in.caller.Done():
		case <-in.plugin.ctx.Done():
		}
	}
	in.tick()
}

// call calls the guest with the arguments in in.stack.
func (in *instance) call(name string, f api.Function) (uint64, error) {
	err := f.CallWithStack(in.ctx, in.stack[:])
	in.out.flush()
	in.err.flush()
	if err != nil {
		return 0, in.reason(name, err)
	}
	return in.stack[0], nil
}

// hand copies head and body to a buffer of the guest and calls it with that.
func (in *instance) hand(name string, f api.Function, head, body []byte) (uint64, error) {
	n := len(head) + len(body)
	in.stack[0] = uint64(n)
	ptr, err := in.call(exportAlloc, in.alloc)
	if err != nil {
		return 0, err
	}
	if uint32(ptr) == 0 {
		return 0, fmt.Errorf("%s has no room for %d bytes", exportAlloc, n)
	}
	b, ok := in.memory.read(uint32(ptr), uint32(n))
	if !ok {
		return 0, fmt.Errorf("%s: %d bytes at %#x are outside of its memory of %d", exportAlloc, n, uint32(ptr), in.memory.size)
	}
	copy(b[copy(b, head):], body)
	in.stack[0], in.stack[1] = ptr, uint64(n)
	return in.call(name, f)
}

// ask is hand for functions with an answer of at most limit bytes: a view of the guest's
// memory, nil for none.
func (in *instance) ask(name string, f api.Function, head, body []byte, limit uint32) ([]byte, error) {
	v, err := in.hand(name, f, head, body)
	if err != nil {
		return nil, err
	}
	ptr, n := uint32(v>>32), uint32(v)
	if n == 0 {
		return nil, nil
	}
	if n > limit {
		return nil, fmt.Errorf("%s: an answer of %d bytes, more than %d", name, n, limit)
	}
	b, ok := in.memory.read(ptr, n)
	if !ok {
		return nil, fmt.Errorf("%s: an answer of %d bytes at %#x, outside of its memory of %d", name, n, ptr, in.memory.size)
	}
	return b, nil
}

// reason says what ended a call, in one line.
func (in *instance) reason(name string, err error) error {
	if errors.Is(err, errCancelled) {
		return errCancelled
	}
	if errors.Is(err, errTime) {
		return fmt.Errorf("%s took longer than %v", name, in.limit)
	}
	var text string
	if exit := (*sys.ExitError)(nil); errors.As(err, &exit) {
		text = fmt.Sprintf("it ended itself with code %d", exit.ExitCode())
	} else {
		// The functions that were being called follow, one a line.
		var trace string
		text, trace, _ = strings.Cut(err.Error(), "\n")
		text = strings.TrimSuffix(strings.TrimPrefix(text, "wasm error: "), " (recovered by wazero)")
		if _, trace, ok := strings.Cut(trace, "\n"); ok {
			first, _, _ := strings.Cut(strings.TrimSpace(trace), "\n")
			text += " in " + strings.TrimPrefix(first, ".")
		}
	}
	if in.words != "" {
		text = in.words + ": " + text
	}
	return fmt.Errorf("%s: %s", name, brief(text))
}

// close frees the instance.
func (in *instance) close() error {
	var err error
	if in.module != nil {
		err = in.module.Close(context.Background())
	}
	return errors.Join(err, in.memory.close())
}

// random gives every instance the same bytes.
type random struct {
	in  *instance
	src *rand.ChaCha8
}

// Read implements [io.Reader].
func (r *random) Read(p []byte) (n int, err error) {
	for ; n < len(p); n += 1 << 16 {
		r.in.tick()
		_, _ = r.src.Read(p[n:min(n+1<<16, len(p))])
	}
	return len(p), nil
}
