package fw

import (
	"fmt"
	"strconv"
	"strings"
)

// parseVersion reads MAJOR.MINOR.PATCH. A v before it and what follows a - or +
// are passed over.
func parseVersion(s string) (v [3]uint64, err error) {
	core, _, _ := strings.Cut(strings.TrimPrefix(s, "v"), "+")
	core, _, _ = strings.Cut(core, "-")
	parts := strings.Split(core, ".")
	if len(parts) != 3 {
		return v, fmt.Errorf("version %.80q: three numbers with dots between them are needed", s)
	}
	for i, p := range parts {
		if v[i], err = strconv.ParseUint(p, 10, 32); err != nil {
			return v, fmt.Errorf("version %.80q: three numbers with dots between them are needed", s)
		}
	}
	return v, nil
}

// checkEdged refuses a bundle that needs a later edged than the one of version
// have. Builds without a version are those of developers, who know what they do.
func (m *Manifest) checkEdged(have string) error {
	h, err := parseVersion(have)
	if err != nil || m.MinEdged == "" || h == [3]uint64{} {
		return nil
	}
	need, err := parseVersion(m.MinEdged)
	if err != nil {
		return err
	}
	for i := range need {
		if need[i] != h[i] {
			if need[i] > h[i] {
				return fmt.Errorf("bundle %s %d needs edged %s or later; this is %s", m.Name, m.Version, m.MinEdged, have)
			}
			return nil
		}
	}
	return nil
}
