package memory

import (
	"net/url"
	"strings"
)

// Folder returns what a scene's folder is called: the scene's name, with what may
// not be in the name of a file written as in a URL.
func Folder(scene string) string {
	name := url.PathEscape(scene)
	if rest, dot := strings.CutPrefix(name, "."); dot || rest == "" {
		return "%2E" + rest
	}
	return name
}
