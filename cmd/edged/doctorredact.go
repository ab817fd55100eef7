package main

import (
	"regexp"
	"strings"

	"github.com/visualrwkv/edged/camera"
)

// secret finds values of keys that are called like a secret: of YAML, JSON, and what
// programs print.
var secret = regexp.MustCompile(`(?i)((?:pass(?:word|wd|phrase)?|secret|token|api[_-]?key|credentials?|authorization|bearer)["']?\s*[:=]\s*)\S.*`)

// redact takes out of a line what nobody else may know.
func redact(line string) string {
	return secret.ReplaceAllString(camera.Redact(line), "${1}***")
}

// redactText takes it out of every line. Lines with captions, which somebody may have
// sent to the log, are left out unless they are wanted.
func redactText(text string, captions bool) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		line, end := strings.CutSuffix(line, "\n")
		if !captions && strings.Contains(line, `"type":"caption"`) {
			line = "(a caption)"
		}
		b.WriteString(redact(line))
		if end {
			b.WriteByte('\n')
		}
	}
	return b.String()
}
