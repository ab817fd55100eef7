package v4l2

// Node is one video node of the machine.
type Node struct {
	Path   string // /dev/video0
	Spec   string // how to call it in a configuration, so that it is found again
	Card   string // the camera's name
	Driver string
	Bus    string // where it is plugged in
	Serial string // empty when it has none

	// Formats are all that it offers, those that are not read too.
	Formats []Format

	// Mode is the first that would be tried; Reason why none is, in words for
	// the owner of the camera. One of them is empty.
	Mode   string
	Reason string
}
