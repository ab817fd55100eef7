package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// Limits of a file. The parser's time grows with the square of the depth, so depth
// is bounded through what can make it.
const (
	maxFile     = 64 << 10 // bytes
	maxLine     = 4096     // bytes
	maxBrackets = 1024     // openings of lists and mappings within lines
)

// Load reads the file at path. What is wrong with what it says is [Errors].
func Load(path string) (*File, error) { return LoadWith(path, nil) }

// LoadWith is Load with the defaults of a bundle, if there are any: what the file says wins, key by
// key.
func LoadWith(path string, d *Defaults) (*File, error) {
	data, err := read(path)
	if err != nil {
		return nil, err
	}
	return parse(path, data, d)
}

func read(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return data, nil
}

// Parse reads data as [Load] does the file at path, which need not exist.
func Parse(path string, data []byte) (*File, error) { return parse(path, data, nil) }

func parse(path string, data []byte, d *Defaults) (*File, error) {
	data = bytes.TrimPrefix(data, []byte("\ufeff")) // a byte order mark, as editors of Windows write it
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	if d == nil {
		d = builtin()
	}
	p := &parsing{reader: reader{name: path, lines: strings.Split(string(data), "\n")}, dir: filepath.Dir(abs), defaults: d}
	f := &File{Path: abs, WASM: WASMAuto, Budgets: Budgets{Celsius: defaultCelsius}, Memory: d.Memory, Bundled: d.Plugins}
	if p.bounded(data) {
		if body := p.body(data); body != nil {
			p.file(body, f)
		} else if p.count == 0 {
			p.add(1, 1, "the file says nothing: want scenes at least")
		}
	}
	if err := p.result(); err != nil {
		return nil, err
	}
	return f, nil
}

// parsing is one file being read.
type parsing struct {
	reader
	dir      string // that relative paths count from
	defaults *Defaults
}

// bounded refuses what is too large or too deep to be a configuration.
func (p *parsing) bounded(data []byte) bool {
	if len(data) > maxFile {
		p.add(1, 1, fmt.Sprintf("the file has more than %d KiB", maxFile>>10))
		return false
	}
	brackets := 0
	for i, l := range p.lines {
		brackets += strings.Count(l, "[") + strings.Count(l, "{")
		switch {
		case len(l) > maxLine:
			p.add(i+1, 1, fmt.Sprintf("the line has more than %d bytes", maxLine))
		case brackets > maxBrackets:
			p.add(i+1, 1, fmt.Sprintf("more than %d brackets", maxBrackets))
		case strings.ContainsRune(l, 0):
			p.add(i+1, 1, "this is no text")
		default:
			continue
		}
		return false
	}
	return true
}

// body returns the root of the only document; nil when there is none, or the errors say why not.
func (p *parsing) body(data []byte) ast.Node {
	file, err := parser.ParseBytes(data, 0)
	if err != nil {
		e, ok := errors.AsType[*yaml.SyntaxError](err)
		if !ok || e.Token == nil {
			p.add(1, 1, err.Error())
			return nil
		}
		p.syntax(e)
		return nil
	}
	var body ast.Node
	for _, d := range file.Docs {
		switch {
		case d.Body == nil || d.Body.Type() == ast.NullType || d.Body.Type() == ast.CommentType:
		case body != nil:
			p.errorf(d.Body, "a second document: want one")
			return nil
		default:
			body = d.Body
		}
	}
	return body
}

func (p *parsing) file(n ast.Node, f *File) {
	var threads int64
	var log, scenes, plugins ast.Node
	p.object(n, "", map[string]field{
		"model":     p.path(&f.Model),
		"state_dir": p.path(&f.StateDir),
		"threads":   p.integer(&threads, 0, 1024),
		"cpus":      p.text(&f.CPUs),
		"socket":    func(n ast.Node) { p.socket(n, &f.Socket) },
		"budgets": func(n ast.Node) {
			p.object(n, "", map[string]field{
				"ram":            p.bytes(&f.Budgets.RAM),
				"disk":           p.bytes(&f.Budgets.Disk),
				"writes_per_day": p.bytes(&f.Budgets.WritesPerDay),
				"celsius":        p.number(&f.Budgets.Celsius, 0, 120),
			})
		},
		"memory": func(n ast.Node) { p.memory(n, &f.Memory) },
		"log": func(n ast.Node) {
			log = n
			p.object(n, "size", map[string]field{
				"size": p.bytes(&f.Log.Size),
				"age":  p.duration(&f.Log.Age, time.Hour, 100*365*24*time.Hour),
			})
		},
		"prompts": p.names(&f.Prompts),
		"outputs": func(n ast.Node) {
			p.list(n, func(n ast.Node) {
				var o Output
				before := p.count
				p.object(n, "jsonl", map[string]field{"jsonl": p.text(&o.JSONL)})
				switch {
				case p.count > before:
				case o.JSONL == "":
					p.errorf(n, "an output of no kind: want jsonl with a path, or with -")
				case o.JSONL != "-":
					o.JSONL = p.absolute(o.JSONL)
				}
				f.Outputs = append(f.Outputs, o)
			})
		},
		"plugins": func(n ast.Node) { plugins = n },
		"wasm":    p.choice(&f.WASM, WASMAuto, WASMCompiler, WASMInterpreter),
		"scenes":  func(n ast.Node) { scenes = n },
	})
	f.Threads = int(threads)
	p.kept(log, f)
	switch {
	case scenes != nil:
		p.scenes(scenes, f)
	case p.count == 0:
		p.errorf(n, "no scenes: want one at least")
	}
	if plugins != nil {
		p.plugins(plugins, f)
	}
}

// kept checks the size of the log, which n is about, once the budgets are known.
func (p *parsing) kept(n ast.Node, f *File) {
	most, why := int64(mostLog), "the most there can be"
	if d := f.Budgets.Disk / 4; d > 0 && d < most {
		most, why = d, "a quarter of budgets.disk, as memories may have the rest"
	}
	switch s := f.Log.Size; {
	case s == 0:
	case s < leastLog:
		p.errorf(n, "a log of %d bytes: want 1MiB at least", s)
	case s > most:
		p.errorf(n, "a log of %d bytes: want no more than %d, %s", s, most, why)
	}
}

func (p *parsing) socket(n ast.Node, s *Socket) {
	p.object(n, "path", map[string]field{
		"path": p.path(&s.Path),
		"mode": p.mode(&s.Mode),
		"roles": func(n ast.Node) {
			p.list(n, func(n ast.Node) {
				r := Role{UID: -1, GID: -1}
				p.object(n, "", map[string]field{
					"uid":  p.integer(&r.UID, 0, math.MaxUint32),
					"gid":  p.integer(&r.GID, 0, math.MaxUint32),
					"role": p.choice(&r.Role, "view", "ask", "admin"),
				})
				if (r.UID < 0) == (r.GID < 0) || r.Role == "" {
					p.errorf(n, "want uid or gid, and role")
				}
				s.Roles = append(s.Roles, r)
			})
		},
	})
}

// mode reads permissions as chmod takes them.
func (p *parsing) mode(dst *fs.FileMode) field {
	return func(n ast.Node) {
		const want = "permissions, such as 0660"
		s, ok := p.scalar(n, want)
		if !ok {
			return
		}
		m, err := strconv.ParseUint(strings.TrimPrefix(s, "0o"), 8, 32)
		if err != nil || m > 0o777 || m&0o600 != 0o600 {
			p.errorf(n, "%q: want %s, in which the owner can read and write", s, want)
			return
		}
		*dst = fs.FileMode(m)
	}
}

func (p *parsing) memory(n ast.Node, m *Memory) {
	var window int64
	p.object(n, "mode", map[string]field{
		"mode":     p.choice(&m.Mode, Continuous, Window),
		"window":   p.integer(&window, 2, 1<<30),
		"snapshot": p.duration(&m.Snapshot, time.Second, 30*24*time.Hour),
	})
	switch {
	case m.Mode != Window && window > 0:
		p.errorf(n, "window is for the mode %s", Window)
	case m.Mode != Window:
		m.Window = 0
	case window > 0:
		m.Window = int(window)
	case m.Window == 0:
		m.Window = defaultWindow
	}
}

// path reads a path.
func (p *parsing) path(dst *string) field {
	return func(n ast.Node) {
		s, ok := p.scalar(n, "a path")
		switch {
		case !ok:
		case strings.ContainsRune(s, 0):
			p.errorf(n, "a path cannot hold a zero byte")
		case s != "":
			*dst = p.absolute(s)
		}
	}
}

func (p *parsing) absolute(path string) string {
	if filepath.IsAbs(path) {
		return filepath.Clean(path)
	}
	return filepath.Join(p.dir, path)
}
