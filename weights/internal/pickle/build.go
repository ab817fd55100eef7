package pickle

// alloc appends words to the arena and returns the index of the first.
func (m *machine) alloc(off int, words ...ref) (int, error) {
	if len(words) > cap(m.arena)-len(m.arena) {
		return 0, errorf(off, "needs more memory than a state dict of this size can")
	}
	at := len(m.arena)
	m.arena = append(m.arena, words...)
	return at, nil
}

// tuple replaces the n topmost values by a tuple of them.
func (m *machine) tuple(n, off int) error {
	elems, err := m.pop(n, off)
	if err != nil {
		return err
	}
	at, err := m.alloc(off, ref(n))
	if err != nil {
		return err
	}
	if _, err := m.alloc(off, elems...); err != nil {
		return err
	}
	return m.push(newRef(Tuple, at), off)
}

func (m *machine) newDict(off int) error {
	at, err := m.alloc(off, 0, 0, 0)
	if err != nil {
		return err
	}
	return m.push(newRef(Dict, at), off)
}

// setItems adds the n/2 pairs on top of the stack to the dictionary below.
func (m *machine) setItems(n, off int) error {
	pairs, err := m.pop(n, off)
	if err != nil {
		return err
	}
	if n%2 != 0 {
		return errorf(off, "a key without a value")
	}
	if m.free() < 1 || m.stack[len(m.stack)-1].kind() != Dict {
		return errorf(off, "%s on something that is no dict", opNames[m.data[off]])
	}
	d := m.stack[len(m.stack)-1].payload()
	for i := 0; i < n; i += 2 {
		p, err := m.alloc(off, pairs[i], pairs[i+1], 0)
		if err != nil {
			return err
		}
		if m.arena[d] == 0 {
			m.arena[d] = ref(p)
		} else {
			m.arena[m.arena[d+1]+2] = ref(p)
		}
		m.arena[d+1] = ref(p)
		m.arena[d+2]++
	}
	return nil
}

func (m *machine) persistent(off int) error {
	top, err := m.pop(1, off)
	if err != nil {
		return err
	}
	if top[0].kind() != Tuple {
		return errorf(off, "persistent id is no tuple but %s", top[0].kind())
	}
	return m.push(newRef(Persistent, top[0].payload()), off)
}

// reduce records the call of a known global.
func (m *machine) reduce(off int) error {
	top, err := m.pop(2, off)
	if err != nil {
		return err
	}
	f, args := top[0], top[1]
	if f.kind() != Global {
		return errorf(off, "call of something that is no global but %s", f.kind())
	}
	if args.kind() != Tuple {
		return errorf(off, "arguments of a call are no tuple but %s", args.kind())
	}
	g := globals[f.payload()]
	switch g.role {
	case roleDict:
		if m.arena[args.payload()] != 0 {
			return errorf(off, "%q called with arguments", g.name)
		}
		return m.newDict(off)
	case roleObject:
		at, err := m.alloc(off, f, args)
		if err != nil {
			return err
		}
		return m.push(newRef(Object, at), off)
	}
	return errorf(off, "%q is not callable", g.name)
}

// build checks and drops the attributes of a dictionary. The only one that a
// state dict has is _metadata, the version numbers of its modules.
func (m *machine) build(off int) error {
	top, err := m.pop(1, off)
	if err != nil {
		return err
	}
	if m.free() < 1 || m.stack[len(m.stack)-1].kind() != Dict || top[0].kind() != Dict {
		return errorf(off, "BUILD of something other than the attributes of a dict")
	}
	for key := range (Value{m, top[0]}).Pairs() {
		if string(key.Str()) != "_metadata" {
			return errorf(off, "attribute %q is not allowed", key.Str())
		}
	}
	return nil
}
