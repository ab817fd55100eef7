package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"
	"unicode"

	"github.com/visualrwkv/edged/client"
)

const socketHelp = "`path` of the socket (default $EDGED_SOCKET, else /run/edged/edged.sock for root and $XDG_RUNTIME_DIR/edged.sock otherwise)"

// serviceSocket is the path for root, and so that of the service.
const serviceSocket = "/run/edged/edged.sock"

// dial connects to the daemon at path, for the command of this name.
func dial(ctx context.Context, path, name string) (*client.Client, error) {
	c, err := client.Dial(ctx, path, &client.Options{Name: name})
	if err != nil {
		err = fmt.Errorf("%w%s", err, dialHint(err, path, serviceSocket))
	}
	return c, err
}

// dialHint is what to do about err, where a user of the service, whose socket is at that
// path, most likely stumbled; or nothing.
func dialHint(err error, path, service string) string {
	if errors.Is(err, fs.ErrPermission) {
		return "; socket.mode of its configuration lets a group in (docs/service.md)"
	}
	if _, e := os.Stat(service); e == nil && errors.Is(err, fs.ErrNotExist) && path != service {
		return "; the service is at " + service + ", which -socket or EDGED_SOCKET has to name"
	}
	return ""
}

// socketPath is where the socket is: what the flag says, else the environment,
// else the user's place. Without XDG_RUNTIME_DIR that is a folder of the user's
// own below the temporary one.
func socketPath(flag string) string {
	if flag != "" {
		return flag
	}
	if p := os.Getenv("EDGED_SOCKET"); p != "" {
		return p
	}
	if os.Getuid() == 0 {
		return serviceSocket
	}
	if d := os.Getenv("XDG_RUNTIME_DIR"); d != "" {
		return filepath.Join(d, "edged.sock")
	}
	return filepath.Join(os.TempDir(), fmt.Sprintf("edged-%d", os.Getuid()), "edged.sock")
}

// demoSocket is the path for a demo to listen at, its folder made; undo removes
// the folder if it is empty and was made here, or is one that edged makes. A path that was given, by flag or environment,
// is used as it is. Otherwise the usual path makes "edged ask" from another
// terminal just work; where a daemon answers at it already, or its folder cannot
// be had, the demo takes a path of its own.
func demoSocket(flag string) (path string, undo func(), err error) {
	path = socketPath(flag)
	if flag != "" || os.Getenv("EDGED_SOCKET") != "" {
		undo, err = makeFolder(path)
		return path, undo, err
	}
	return freeSocket(path)
}

func freeSocket(usual string) (path string, undo func(), err error) {
	path = usual
	if answers(path) {
		path = strings.TrimSuffix(path, ".sock") + fmt.Sprintf("-demo-%d.sock", os.Getpid())
	}
	if undo, err = makeFolder(path); err == nil {
		// A demo that was killed, or one that ended while this one ran, left its folder.
		if dir := filepath.Dir(path); ownFolder(dir) {
			undo = func() { os.Remove(dir) }
		}
		return path, undo, nil
	}
	dir, err := os.MkdirTemp("", "edged-demo-")
	return filepath.Join(dir, "edged.sock"), func() { os.Remove(dir) }, err
}

// ownFolder reports whether dir has a name that only edged gives: the folder of a
// path that is the default, but not $XDG_RUNTIME_DIR.
func ownFolder(dir string) bool {
	base := filepath.Base(dir)
	return base == "edged" || strings.HasPrefix(base, "edged-")
}

// makeFolder makes the folder of a socket, one level deep. undo removes it if it was
// made here and is empty.
func makeFolder(path string) (undo func(), err error) {
	dir := filepath.Dir(path)
	undo = func() {}
	switch err := os.Mkdir(dir, 0o700); {
	case err == nil:
		undo = func() { os.Remove(dir) }
	case !os.IsExist(err):
		return undo, fmt.Errorf("folder of the socket: %w", err)
	}
	return undo, checkOwner(dir)
}

// answers reports whether somebody listens at path.
func answers(path string) bool {
	c, err := net.DialTimeout("unix", path, time.Second)
	if err == nil {
		c.Close()
	}
	return err == nil
}

// checkOwner refuses a folder below the temporary one that another user could
// have put there.
func checkOwner(dir string) error {
	if filepath.Dir(dir) != filepath.Clean(os.TempDir()) || !strings.HasPrefix(filepath.Base(dir), "edged-") {
		return nil
	}
	st, err := os.Lstat(dir)
	if err != nil {
		return err
	}
	if !st.IsDir() || st.Mode().Perm()&0o022 != 0 || !ownedByMe(st) {
		return fmt.Errorf("%s is not a folder of this user alone: give a path with -socket", dir)
	}
	return nil
}

// askHint is the command, for a shell, that asks the demo at path from another
// terminal.
func askHint(path string) string {
	command := "edged ask"
	if strings.Contains(os.Args[0], "go-build") { // go run
		command = "go run ./cmd/edged ask"
	} else if strings.Contains(os.Args[0], "/") {
		command = shellWord(os.Args[0]) + " ask"
	}
	if path != socketPath("") { // not where ask looks
		command += " -socket " + shellWord(path)
	}
	return command + ` "what left the room?"`
}

// shellWord is s as one word for a shell.
func shellWord(s string) string {
	var b strings.Builder
	for _, r := range printable(s) {
		if !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune("/._-+:,@%", r) {
			b.WriteByte('\\')
		}
		b.WriteRune(r)
	}
	return b.String()
}
