package camera

import "strings"

// Redact hides what a spec holds that must not be shown, in logs or anywhere: the user and
// password of a URL, and its query, in which many cameras want them. It works on what is
// written wrongly too, and then hides too much rather than too little.
func Redact(spec string) string {
	head, rest, ok := strings.Cut(spec, "://")
	if !ok {
		return spec
	}
	if at := strings.LastIndexByte(rest, '@'); at >= 0 {
		rest = "***@" + rest[at+1:]
	}
	if at := strings.IndexAny(rest, "?#"); at >= 0 {
		rest = rest[:at] + "?***"
	}
	return head + "://" + rest
}
