package fw

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"unicode"

	"golang.org/x/crypto/blake2b"
)

// Keys and signatures have the formats of minisign (https://jedisct1.github.io/minisign),
// so that its program makes and checks them too.

// PublicKey is half of a key pair: what a device trusts.
type PublicKey struct {
	id  [8]byte
	key [ed25519.PublicKeySize]byte
}

// SecretKey is the half that signs.
type SecretKey struct {
	id  [8]byte
	key ed25519.PrivateKey
}

// MaxKeys is how many keys a device trusts at most: the one in use and the one
// that replaces it.
const MaxKeys = 2

const (
	algorithm          = "Ed" // of keys, and of signatures of whole messages
	algorithmPrehashed = "ED" // of signatures of a message's BLAKE2b-512

	untrusted = "untrusted comment: "
	trusted   = "trusted comment: "

	// maxSignature bounds a signature file: two comments and two lines.
	maxSignature = 4096
	maxComment   = 1024
)

var encoding = base64.StdEncoding.Strict()

// ParsePublicKeys reads a file of one or two public keys: lines of base64 as
// minisign writes them; comments and empty lines are passed over.
func ParsePublicKeys(text []byte) ([]PublicKey, error) {
	var keys []PublicKey
	n := 0
	for line := range strings.Lines(string(text)) {
		n++
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, untrusted) || strings.HasPrefix(line, "#") {
			continue
		}
		k, err := parsePublicKey(line)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		if keys = append(keys, k); len(keys) > MaxKeys {
			return nil, fmt.Errorf("line %d: more than %d keys", n, MaxKeys)
		}
	}
	if len(keys) == 0 {
		return nil, errors.New("no public key in it: a line such as minisign writes to minisign.pub")
	}
	return keys, nil
}

func parsePublicKey(line string) (k PublicKey, err error) {
	data, err := encoding.DecodeString(line)
	if err != nil || len(data) != 2+8+ed25519.PublicKeySize || string(data[:2]) != algorithm {
		return k, errors.New("not a public key of minisign, which is 56 characters that begin with RW")
	}
	copy(k.id[:], data[2:])
	copy(k.key[:], data[10:])
	return k, nil
}

// ID is how minisign calls the key: 16 hexadecimal digits.
func (k PublicKey) ID() string { return keyID(k.id) }

// String is the key as a line of a key file.
func (k PublicKey) String() string {
	return encoding.EncodeToString(append(append([]byte(algorithm), k.id[:]...), k.key[:]...))
}

func keyID(id [8]byte) string { return fmt.Sprintf("%016X", binary.LittleEndian.Uint64(id[:])) }

// ParseSecretKey reads a file that "minisign -G -W" has written. One under a
// password is refused: minisign itself can sign with it.
func ParseSecretKey(text []byte) (k SecretKey, err error) {
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	data, err := encoding.DecodeString(strings.TrimSpace(lines[len(lines)-1]))
	// Algorithm, key derivation and checksum, their salt and limits, key id, key, checksum.
	const head = 2 + 2 + 2 + 32 + 8 + 8
	if err != nil || len(data) != head+8+ed25519.PrivateKeySize+32 || string(data[:2]) != algorithm {
		return k, errors.New("not a secret key of minisign")
	}
	if data[2] != 0 || data[3] != 0 {
		return k, errors.New("the key is under a password; take the password away (minisign -C -W), or sign with minisign and add its signature (fw sign -signature)")
	}
	copy(k.id[:], data[head:])
	k.key = ed25519.PrivateKey(bytes.Clone(data[head+8 : head+8+ed25519.PrivateKeySize]))
	if !bytes.Equal(ed25519.NewKeyFromSeed(k.key.Seed()), k.key) {
		return SecretKey{}, errors.New("the two halves of the key do not belong together")
	}
	return k, nil
}

// Public returns the key that checks what k signs.
func (k SecretKey) Public() PublicKey {
	p := PublicKey{id: k.id}
	copy(p.key[:], k.key[ed25519.PrivateKeySize-ed25519.PublicKeySize:])
	return p
}

// Sign returns a signature file for message. comment is one line that the
// signature covers.
func (k SecretKey) Sign(message []byte, comment string) []byte {
	comment = line(comment)
	sum := blake2b.Sum512(message)
	sig := ed25519.Sign(k.key, sum[:])
	global := ed25519.Sign(k.key, append(bytes.Clone(sig), comment...))
	return fmt.Appendf(nil, "%ssignature of edged, key %s\n%s\n%s%s\n%s\n", untrusted, keyID(k.id),
		encoding.EncodeToString(append(append([]byte(algorithmPrehashed), k.id[:]...), sig...)),
		trusted, comment, encoding.EncodeToString(global))
}

// line makes text of others fit to be shown: one line, nothing that steers a
// terminal.
func line(s string) string {
	s = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
	return strings.TrimSpace(s[:min(len(s), maxComment)])
}

// A signature is what a signature file holds.
type signature struct {
	prehashed bool
	id        [8]byte
	sig       [ed25519.SignatureSize]byte
	comment   string // covered by global
	global    [ed25519.SignatureSize]byte
}

func parseSignature(text []byte) (s signature, err error) {
	bad := func(what string) (signature, error) {
		return signature{}, fmt.Errorf("not a signature of minisign: %s", what)
	}
	if len(text) > maxSignature {
		return bad(fmt.Sprintf("more than %d bytes", maxSignature))
	}
	lines := strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
	if len(lines) != 4 {
		return bad(fmt.Sprintf("%d lines instead of 4", len(lines)))
	}
	for i := range lines {
		lines[i] = strings.TrimSuffix(lines[i], "\r")
	}
	if !strings.HasPrefix(lines[0], untrusted) {
		return bad("line 1 is not its comment")
	}
	data, err := encoding.DecodeString(lines[1])
	if err != nil || len(data) != 2+8+len(s.sig) {
		return bad("line 2 is not 74 bytes in base64")
	}
	switch string(data[:2]) {
	case algorithm:
	case algorithmPrehashed:
		s.prehashed = true
	default:
		return bad(fmt.Sprintf("its algorithm is %q", data[:2]))
	}
	copy(s.id[:], data[2:])
	copy(s.sig[:], data[10:])
	var ok bool
	if s.comment, ok = strings.CutPrefix(lines[2], trusted); !ok {
		return bad("line 3 is not its trusted comment")
	}
	data, err = encoding.DecodeString(lines[3])
	if err != nil || len(data) != len(s.global) {
		return bad("line 4 is not 64 bytes in base64")
	}
	copy(s.global[:], data)
	return s, nil
}

// Verify checks a signature file for message against the keys and returns the
// key that made it, and its trusted comment.
func Verify(message, signatureFile []byte, keys []PublicKey) (by PublicKey, comment string, err error) {
	s, err := parseSignature(signatureFile)
	if err != nil {
		return by, "", err
	}
	for _, k := range keys {
		if k.id == s.id {
			return k, line(s.comment), s.check(message, k)
		}
	}
	ids := make([]string, len(keys))
	for i, k := range keys {
		ids[i] = k.ID()
	}
	return by, "", fmt.Errorf("signed with key %s, which is not trusted here (trusted: %s)", keyID(s.id), strings.Join(ids, ", "))
}

func (s signature) check(message []byte, k PublicKey) error {
	if s.prehashed {
		sum := blake2b.Sum512(message)
		message = sum[:]
	}
	if !ed25519.Verify(k.key[:], message, s.sig[:]) {
		return fmt.Errorf("the signature with key %s is not of this manifest", k.ID())
	}
	if !ed25519.Verify(k.key[:], append(bytes.Clone(s.sig[:]), s.comment...), s.global[:]) {
		return fmt.Errorf("the trusted comment was changed after key %s signed it", k.ID())
	}
	return nil
}
