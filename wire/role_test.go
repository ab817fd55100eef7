package wire

import "testing"

func TestGrants(t *testing.T) {
	role := Grants([]Grant{
		{UID: 7, GID: -1, Role: RoleView}, {UID: -1, GID: 50, Role: RoleAsk}, {UID: 8, GID: -1, Role: RoleAdmin},
		{UID: -1, GID: 60, Role: RoleAdmin}, {UID: -1, GID: 61, Role: RoleView}, {UID: 10, GID: 70, Role: RoleAsk},
	}, 1000)
	for _, c := range []struct {
		peer Peer
		want Role
	}{
		{Peer{UID: 0, GID: 0}, RoleAdmin},
		{Peer{UID: 1000, GID: 1000}, RoleAdmin},
		{Peer{UID: 7, GID: 7}, RoleView},
		{Peer{UID: 8, GID: 8}, RoleAdmin},
		{Peer{UID: 9, GID: 50}, RoleAsk},
		{Peer{UID: 9, GID: 9, Groups: []uint32{9, 50}}, RoleAsk},
		{Peer{UID: 7, GID: 7, Groups: []uint32{50}}, RoleAsk},
		{Peer{UID: 9, GID: 7, Groups: []uint32{8, 1000}}, 0},
		{Peer{UID: 9, GID: 1000}, 0}, // a group of the number of self
		{Peer{UID: 9, GID: 0}, 0},
		{Peer{UID: 9, GID: 60, Groups: []uint32{61}}, RoleAdmin}, // the highest, not the last
		{Peer{UID: 10, GID: 10}, RoleAsk},
		{Peer{UID: 9, GID: 70}, 0}, // a grant to a user is not one to a group
		{Peer{UID: 1<<32 - 1, GID: 1<<32 - 1}, 0},
	} {
		if got := role(c.peer); got != c.want {
			t.Errorf("%+v: %v, want %v", c.peer, got, c.want)
		}
	}
}

func TestParseRole(t *testing.T) {
	for r := RoleView; r <= RoleAdmin; r++ {
		if got, err := ParseRole(r.String()); got != r || err != nil {
			t.Errorf("%v: %v, %v", r, got, err)
		}
	}
	for _, name := range []string{"", "none", "root"} {
		if _, err := ParseRole(name); err == nil {
			t.Errorf("%q is a role", name)
		}
	}
}

// TestServeRoles: a request that needs a higher role is refused, and the connection
// goes on.
func TestServeRoles(t *testing.T) {
	for role := Role(0); role <= RoleAdmin; role++ {
		path := socketPath(t)
		ln, err := Listen(t.Context(), path, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		serveUntilEnd(t, ln, &house{}, &ServeOptions{Role: func(Peer) Role { return role }})
		p := dialPath(t, path)
		p.send(1, &Hello{Protocol: 1})
		if role == 0 {
			p.wantError(0, CodeDenied, "has no role here")
			continue
		}
		if _, m := p.read(); m.(*Welcome).Role != role.String() {
			t.Errorf("%v: %+v", role, m)
		}
		for id, c := range []struct {
			m    Message
			need Role
		}{
			{new(GetStatus), RoleView}, {&Search{}, RoleView}, {&GetSnapshots{}, RoleView}, {&Watch{From: 1}, RoleView},
			{&Ask{Question: " "}, RoleAsk}, {&Admin{Action: ActionPause}, RoleAdmin},
		} {
			p.send(uint64(id+2), c.m)
			for {
				_, m := p.read()
				if m.Kind() == "event" {
					continue
				}
				e, _ := m.(*Error)
				if denied := e != nil && e.Code == CodeDenied; denied != (role < c.need) {
					t.Errorf("%v: %s: %+v", role, c.m.Kind(), m)
				}
				break
			}
		}
	}
}

// TestServePerUser: one user cannot take all places, an administrator can.
func TestServePerUser(t *testing.T) {
	path := socketPath(t)
	ln, err := Listen(t.Context(), path, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	roles := make(chan Role, 10)
	serveUntilEnd(t, ln, &house{}, &ServeOptions{MaxClients: 4, Role: func(Peer) Role { return <-roles }})
	greeted := func(r Role) *client {
		roles <- r
		p := dialPath(t, path)
		p.send(1, &Hello{Protocol: 1})
		return p
	}
	a, b := greeted(RoleAsk), greeted(RoleAsk)
	a.read()
	b.read()
	greeted(RoleAsk).wantError(0, CodeBusy, "2 connections already")
	if _, m := greeted(RoleAdmin).read(); m.Kind() != "welcome" {
		t.Errorf("%+v", m)
	}
	a.conn.Close()
	for { // the server has to notice
		if _, m := greeted(RoleView).read(); m.Kind() == "welcome" {
			break
		}
	}
}
