// Package plugin runs plugins: WASM modules that look at frames and captions, without files,
// network or environment, within limits of memory and time. docs/plugins.md has the ABI.
//
// A module is checked and rewritten before wazero sees it (scan.go, meter.go): every count in
// it is one that its bytes can hold, its tables cannot grow, and its code counts what it does,
// so that the host gets control again in time however the guest loops or recurses. Each
// [Plugin] is an instance of a [Module] for one scene. What goes wrong inside is the plugin's
// own fault: the frame is kept and the caption passes, or neither is for anybody where [Options].OnFailure has it so,
// and the instance is thrown away and made anew.
package plugin

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
)

// EngineConfig says how modules are run.
type EngineConfig struct {
	// Mode is "compiler", "interpreter", or "auto", which is the default: the compiler
	// where this process may make memory executable that it has written.
	Mode string
	// CacheDir is where compiled code is kept, nowhere when empty. Whoever can write there
	// can run code in this process. The interpreter needs none.
	CacheDir string
}

// Engine compiles modules, or prepares them for interpretation. It may be used by several
// goroutines.
type Engine struct {
	compiler bool
	mode     string
	host     imports

	mu     sync.Mutex
	cache  *cache         // nil: without
	cached wazero.Runtime // with the cache, nil: without
	plain  wazero.Runtime // without; made when there is no cache, or it fails
}

// NewEngine fails on a mode that does not exist, or that this machine or process cannot have.
func NewEngine(ctx context.Context, cfg EngineConfig) (*Engine, error) {
	denied := compilerDenied()
	e := new(Engine)
	switch cfg.Mode {
	case "", "auto":
		e.compiler = denied == nil
		if e.mode = "compiler (auto)"; denied != nil {
			e.mode = fmt.Sprintf("interpreter (auto: %v)", denied)
		}
	case "compiler":
		if denied != nil {
			return nil, fmt.Errorf("wasm: compiler: %w", denied)
		}
		e.compiler = true
		e.mode = "compiler (configured)"
	case "interpreter":
		e.mode = "interpreter (configured)"
	default:
		return nil, fmt.Errorf("wasm: %q is neither auto, compiler nor interpreter", cfg.Mode)
	}
	if e.compiler && cfg.CacheDir != "" {
		c, err := openCache(cfg.CacheDir)
		if err == nil {
			e.cached, err = e.newRuntime(ctx, c.wazero)
		}
		if err != nil {
			e.mode += fmt.Sprintf(", compiled at every start: %v", err)
		} else {
			e.cache = c
		}
	}
	if e.cached == nil {
		var err error
		if e.plain, err = e.newRuntime(ctx, nil); err != nil {
			return nil, fmt.Errorf("wasm: %w", err)
		}
	}
	return e, nil
}

// Mode says what runs the modules, and why.
func (e *Engine) Mode() string { return e.mode }

// Close frees what modules and plugins of the engine occupy. The plugins must have been
// closed before.
func (e *Engine) Close(ctx context.Context) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	var errs []error
	for _, r := range []wazero.Runtime{e.cached, e.plain} {
		if r != nil {
			errs = append(errs, r.Close(ctx))
		}
	}
	if e.cache != nil {
		errs = append(errs, e.cache.wazero.Close(ctx))
	}
	e.cached, e.plain, e.cache = nil, nil, nil
	return errors.Join(errs...)
}

// newRuntime makes a runtime with the modules that guests may import.
func (e *Engine) newRuntime(ctx context.Context, c wazero.CompilationCache) (wazero.Runtime, error) {
	cfg := wazero.NewRuntimeConfigInterpreter()
	if e.compiler {
		cfg = wazero.NewRuntimeConfigCompiler()
	}
	cfg = cfg.WithCoreFeatures(api.CoreFeaturesV2).WithDebugInfoEnabled(false)
	if c != nil {
		cfg = cfg.WithCompilationCache(c)
	}
	r := wazero.NewRuntimeWithConfig(ctx, cfg)
	host, err := provide(ctx, r)
	if err != nil {
		return nil, errors.Join(err, r.Close(ctx))
	}
	e.host = host
	return r, nil
}

// Compile checks a module and makes it ready to be started, any number of times. Errors name
// what is wrong with the module and where; the name is for them.
func (e *Engine) Compile(ctx context.Context, name string, wasm []byte) (*Module, error) {
	l, code, err := prepare(wasm, e.host)
	if err != nil {
		return nil, fmt.Errorf("plugin %s: %w", name, err)
	}
	m := &Module{name: name, layout: l, compiled: e.compiler}
	if m.runtime, m.code, err = e.compile(ctx, code); err != nil {
		return nil, fmt.Errorf("plugin %s: %s", name, brief(err.Error()))
	}
	return m, nil
}

// compile uses the cache if it can: one that is damaged, full or not writable costs time and
// nothing else.
func (e *Engine) compile(ctx context.Context, wasm []byte) (wazero.Runtime, wazero.CompiledModule, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.cached != nil {
		code, err := compile(ctx, e.cached, wasm)
		if err == nil {
			e.cache.seal()
			return e.cached, code, nil
		}
		if plain, code, err := e.uncached(ctx, wasm); err == nil {
			e.cache.clear()
			return plain, code, nil
		}
		return nil, nil, err
	}
	return e.uncached(ctx, wasm)
}

func (e *Engine) uncached(ctx context.Context, wasm []byte) (wazero.Runtime, wazero.CompiledModule, error) {
	if e.plain == nil {
		r, err := e.newRuntime(ctx, nil)
		if err != nil {
			return nil, nil, err
		}
		e.plain = r
	}
	code, err := compile(ctx, e.plain, wasm)
	return e.plain, code, err
}

// compile makes an error of a panic: the module is a stranger's.
func compile(ctx context.Context, r wazero.Runtime, wasm []byte) (code wazero.CompiledModule, err error) {
	defer func() {
		if v := recover(); v != nil {
			code, err = nil, fmt.Errorf("the compiler gave up: %v", v)
		}
	}()
	return r.CompileModule(ctx, wasm)
}
