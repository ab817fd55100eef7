package fw

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"

	"github.com/visualrwkv/edged/internal/disk"
)

// A slot holds what one bundle was installed as.
const (
	slotA = "a"
	slotB = "b"
)

// Phase is how far a slot has come.
type Phase string

// Phases. Only a slot that is ready, trying, good or bad is whole.
const (
	PhaseEmpty      Phase = ""
	PhaseInstalling Phase = "installing" // some of it is there
	PhaseReady      Phase = "ready"      // whole; the next start tries it
	PhaseTrying     Phase = "trying"     // it was started, and has not proved itself
	PhaseGood       Phase = "good"       // it has
	PhaseBad        Phase = "bad"        // it was given up
)

// Slot is what is known of a slot.
type Slot struct {
	Phase    Phase  `json:"phase,omitempty"`
	Name     string `json:"name,omitempty"`
	Version  uint64 `json:"version,omitempty"`
	Manifest Hash   `json:"manifest"`      // of the manifest's bytes
	Why      string `json:"why,omitempty"` // it is bad
}

func (s Slot) String() string {
	if s.Phase == PhaseEmpty {
		return "empty"
	}
	return fmt.Sprintf("%s version %d", s.Name, s.Version)
}

// State is what decides what edged runs. It is one small file, replaced as a whole
// and before anything is done that it tells of: whenever the power fails, it says
// what was being done.
type State struct {
	Format int  `json:"format"` // 1
	A      Slot `json:"a"`
	B      Slot `json:"b"`
	// Active is the slot that runs, "" for what the binary brings.
	Active string `json:"active,omitempty"`
	// Trial is the slot that is being tried instead, Starts how often it was started, and Stops how often
	// edged was told to stop before it had proved itself, which is not among Starts.
	Trial  string `json:"trial,omitempty"`
	Starts int    `json:"starts,omitempty"`
	Stops  int    `json:"stops,omitempty"`
	// Highest is the highest version of a name that ever proved itself: none below
	// it is installed by itself.
	Highest map[string]uint64 `json:"highest,omitempty"`
	// Keys, lines of a key file, are trusted instead of those that the device was set up
	// with: the newest that a bundle which proved itself has brought.
	Keys []string `json:"keys,omitempty"`
}

// A slot is given up that was started MaxStarts times without proving itself, or was told to stop MaxStops times before it
// had: of one that is too much for the device the machine may shut down in good order, again and again, when it is too hot.
const (
	MaxStarts = 3
	MaxStops  = 10
)

func (s *State) slot(name string) *Slot {
	if name == slotB {
		return &s.B
	}
	return &s.A
}

// spare is the slot that a bundle is installed to: never the one that runs.
func (s *State) spare() string {
	if s.Active == slotA {
		return slotB
	}
	return slotA
}

func (s *State) endTrial() { s.Trial, s.Starts, s.Stops = "", 0, 0 }

func (s *State) validate() error {
	for _, name := range []string{s.Active, s.Trial} {
		if name != "" && name != slotA && name != slotB {
			return fmt.Errorf("slot %.80q is none", name)
		}
	}
	switch {
	case s.Format != format:
		return fmt.Errorf("format %d; this edged knows %d", s.Format, format)
	case s.Active != "" && s.Active == s.Trial:
		return errors.New("the slot that runs is tried")
	case s.Active != "" && s.slot(s.Active).Phase != PhaseGood:
		return fmt.Errorf("slot %s runs and is %q", s.Active, s.slot(s.Active).Phase)
	case s.Trial != "" && s.slot(s.Trial).Phase != PhaseReady && s.slot(s.Trial).Phase != PhaseTrying:
		return fmt.Errorf("slot %s is tried and is %q", s.Trial, s.slot(s.Trial).Phase)
	case s.Starts < 0 || s.Stops < 0 || len(s.Highest) > maxNames || len(s.Keys) > MaxKeys:
		return errors.New("a count that cannot be")
	}
	for _, k := range s.Keys {
		if _, err := parsePublicKey(k); err != nil {
			return err
		}
	}
	return nil
}

const (
	stateName = "state.json"
	maxState  = 64 << 10
	maxNames  = 64
)

// Store is the folder of the slots. It has one user at a time: whoever opens it
// holds a lock on the state folder, or on the store's.
type Store struct {
	fsys disk.FS
	dir  string
	s    State
}

// OpenStore reads the state of the slots in dir, which need not be there. A state
// that cannot be read is an error, and the Store then has empty slots, so that what the binary brings
// can run.
func OpenStore(fsys disk.FS, dir string) (*Store, error) {
	t := &Store{fsys: fsys, dir: dir, s: State{Format: format}}
	path := filepath.Join(dir, stateName)
	data, size, err := disk.Read(fsys, path, maxState)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return t, nil
	case err != nil:
		return t, err
	case size > maxState:
		return t, fmt.Errorf("%s: %d bytes, more than %d", path, size, maxState)
	}
	s, err := parseState(data)
	if err != nil {
		return t, fmt.Errorf("%s: %w; what the binary brings runs until that file is removed and a bundle installed again", path, err)
	}
	t.s = *s
	return t, nil
}

func parseState(data []byte) (*State, error) {
	s := new(State)
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(s); err != nil {
		return nil, err
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, errors.New("something follows the state")
	}
	return s, s.validate()
}

// State returns what is known.
func (t *Store) State() State { return t.s }

// Keys returns the keys that bundles have brought, none if they have brought none.
func (t *Store) Keys() (keys []PublicKey) {
	for _, line := range t.s.Keys {
		if k, err := parsePublicKey(line); err == nil { // as validate has seen
			keys = append(keys, k)
		}
	}
	return keys
}

// write makes s the state, on the disk first.
func (t *Store) write(s State) error {
	s.Format = format
	if err := s.validate(); err != nil {
		return fmt.Errorf("fw state: %w", err)
	}
	data, err := json.MarshalIndent(s, "", " ")
	if err != nil {
		return err
	}
	if err := t.fsys.MkdirAll(t.dir); err != nil {
		return err
	}
	if err := disk.Replace(t.fsys, filepath.Join(t.dir, stateName), append(data, '\n')); err != nil {
		// What is on the disk now is the one or the other; read it again before it counts.
		if again, e := OpenStore(t.fsys, t.dir); e == nil {
			t.s = again.s
		}
		return err
	}
	t.s = s
	return nil
}

// path is that of a file in a slot.
func (t *Store) path(slot, name string) string { return filepath.Join(t.dir, slot, name) }
