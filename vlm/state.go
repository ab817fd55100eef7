package vlm

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"

	"github.com/visualrwkv/edged/vlm/internal/rwkv"
)

// The binary form of a stream, all numbers little endian:
//
//	 0  [8]byte   "edgedmem"
//	 8  uint32    version, 1
//	12  uint32    flags: 1 = all frame sets' image tokens are kept (Exact)
//	16  [32]byte  fingerprint of the model
//	48  uint64    frame sets seen
//	56  uint32    pictures whose image tokens follow
//	60  uint32    a, bytes of the memory
//	64  uint32    b, bytes of the image tokens
//	68  [a]byte   memory, none in bidirectional models: float32, per block the wkv state [H,N,N] (key axis
//	              before value axis) and the token shifts [C] of its
//	              sub-layers; none for channel mixing in an encoder's last
//	[b]byte       image tokens: float32 [pictures*p², C]
//	uint32        CRC-32C of everything before
const (
	stateMagic   = "edgedmem"
	stateVersion = 1
	stateHeader  = 68
	stateExact   = 1
)

// ErrState is wrapped by errors about bytes that are no state, or a damaged
// one.
var ErrState = errors.New("bad stream state")

// ErrOtherModel is wrapped by the error for a state that belongs to another
// model, or to the same one with other settings.
var ErrOtherModel = errors.New("state of another model")

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// State returns the stream as bytes: the memory, the newest frame set's image
// tokens and the number of frame sets. [Stream.SetState] on any stream of the
// same model file makes that stream answer and go on exactly as this one.
func (s *Stream) State() []byte {
	b := make([]byte, 0, s.StateSize())
	b = append(b, stateMagic...)
	b = binary.LittleEndian.AppendUint32(b, stateVersion)
	b = binary.LittleEndian.AppendUint32(b, s.flags())
	b = append(b, s.m.hash[:]...)
	b = binary.LittleEndian.AppendUint64(b, s.frames)
	b = binary.LittleEndian.AppendUint32(b, uint32(s.images))
	b = binary.LittleEndian.AppendUint32(b, uint32(s.mem.Size()))
	b = binary.LittleEndian.AppendUint32(b, uint32(4*len(s.rows)))
	b = s.mem.AppendBinary(b)
	b = rwkv.AppendFloats(b, s.rows)
	return binary.LittleEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
}

// StateSize returns the number of bytes that State returns now.
func (s *Stream) StateSize() int { return stateHeader + s.mem.Size() + 4*len(s.rows) + 4 }

func (s *Stream) flags() uint32 {
	if s.m.exact {
		return stateExact
	}
	return 0
}

// SetState restores what State returned. Bytes that are damaged, or of another
// model, are refused with an error that wraps [ErrState] or [ErrOtherModel],
// and the stream is unchanged.
func (s *Stream) SetState(data []byte) error {
	if len(data) < stateHeader+4 {
		return fmt.Errorf("%d bytes: %w", len(data), ErrState)
	}
	body, sum := data[:len(data)-4], binary.LittleEndian.Uint32(data[len(data)-4:])
	if string(body[:8]) != stateMagic {
		return fmt.Errorf("does not begin with %q: %w", stateMagic, ErrState)
	}
	if v := binary.LittleEndian.Uint32(body[8:]); v != stateVersion {
		return fmt.Errorf("version %d, want %d: %w", v, stateVersion, ErrState)
	}
	if crc32.Checksum(body, castagnoli) != sum {
		return fmt.Errorf("checksum does not match: %w", ErrState)
	}
	if !bytes.Equal(body[16:48], s.m.hash[:]) {
		return fmt.Errorf("model %.8x, want %.8x: %w", body[16:48], s.m.hash, ErrOtherModel)
	}
	if f := binary.LittleEndian.Uint32(body[12:]); f != s.flags() {
		return fmt.Errorf("flags %#x, want %#x: %w", f, s.flags(), ErrOtherModel)
	}
	frames := binary.LittleEndian.Uint64(body[48:])
	images := binary.LittleEndian.Uint32(body[56:])
	a, b := uint64(binary.LittleEndian.Uint32(body[60:])), uint64(binary.LittleEndian.Uint32(body[64:]))
	if a+b != uint64(len(body)-stateHeader) || a != uint64(s.mem.Size()) {
		return fmt.Errorf("%d bytes of memory and %d of image tokens in %d: %w", a, b, len(data), ErrState)
	}
	if want, err := s.rowBytes(images); err != nil || b != want {
		return fmt.Errorf("%d bytes of image tokens for %d pictures: %w", b, images, ErrState)
	}
	memory := body[stateHeader:][:a]
	rows := grow(&s.spare, int(b/4)) // no longer than data
	if err := rwkv.DecodeFloats(rows, body[stateHeader+a:]); err != nil {
		return fmt.Errorf("image tokens: %w: %w", err, ErrState)
	}
	if err := s.mem.SetBinary(memory); err != nil {
		return fmt.Errorf("memory: %w: %w", err, ErrState)
	}
	s.rows, s.spare = rows, s.rows
	s.frames, s.images = frames, int(images)
	s.talk.stale()
	return nil
}

// maxImages bounds the pictures of a saved state.
const maxImages = 1 << 16

// rowBytes returns the bytes of the image tokens that a stream with so many
// pictures holds.
func (s *Stream) rowBytes(images uint32) (uint64, error) {
	if images > maxImages || int(images) > s.m.config.MaxViews() && !s.m.exact {
		return 0, fmt.Errorf("%d pictures", images)
	}
	if s.m.carries() || s.m.config.StateOnly {
		return 0, nil // they are in the memory already, or not used
	}
	return 4 * uint64(images) * uint64(s.m.config.pictureTokens()) * uint64(s.m.dec.Dims().C), nil
}
