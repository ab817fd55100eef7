package wire

import (
	"fmt"
	"slices"
)

// Role is what a client may do. A higher one may do what lower ones may.
type Role uint8

// Roles. Zero is none: the client is refused.
const (
	RoleView  Role = iota + 1 // see status, scenes, events and snapshots
	RoleAsk                   // and ask questions
	RoleAdmin                 // and change what the server does
)

var roleNames = [...]string{"none", "view", "ask", "admin"}

func (r Role) String() string { return roleNames[r] }

// ParseRole is the role of a name that String returns, but not of "none".
func ParseRole(name string) (Role, error) {
	for r := RoleView; r <= RoleAdmin; r++ {
		if r.String() == name {
			return r, nil
		}
	}
	return 0, fmt.Errorf("no role %q; there are view, ask and admin", name)
}

// Peer is who is at the other end of a unix socket, as the kernel saw it when
// the connection was made.
type Peer struct {
	UID, GID uint32
	Groups   []uint32 // further groups of the user, as far as the kernel tells
}

// Grant gives a role to a user or, if UID is -1, to the members of a group.
type Grant struct {
	UID, GID int64
	Role     Role
}

// Grants is a [ServeOptions].Role: root and the user whose number is self may do
// everything, others have the highest role that a grant gives them.
func Grants(grants []Grant, self uint32) func(Peer) Role {
	return func(p Peer) (role Role) {
		if p.UID == 0 || p.UID == self {
			return RoleAdmin
		}
		for _, g := range grants {
			if g.gives(p) {
				role = max(role, g.Role)
			}
		}
		return role
	}
}

func (g *Grant) gives(p Peer) bool {
	if g.UID >= 0 {
		return g.UID == int64(p.UID)
	}
	return g.GID == int64(p.GID) || slices.ContainsFunc(p.Groups, func(id uint32) bool { return g.GID == int64(id) })
}

// needs is the role that a request needs.
func needs(m Message) Role {
	switch m.(type) {
	case *Ask:
		return RoleAsk
	case *Admin:
		return RoleAdmin
	}
	return RoleView
}
