package pipe

import "testing"

// TestTail: what ffmpeg says of the same failure is the same each time.
func TestTail(t *testing.T) {
	for text, want := range map[string]string{
		"one\ntwo\n\nthree\nfour\n": "two; three; four",
		"[tcp @ 0x55e3985cc980] Connection refused\r\n[tcp @ 0x1] Connection refused\n\x1b[0m": "[tcp] Connection refused; [0m",
		"": "",
	} {
		var said tail
		if _, err := said.Write([]byte(text)); err != nil || said.String() != want {
			t.Errorf("%q: %q, want %q; %v", text, said.String(), want, err)
		}
	}
}
