package camera

import (
	"bytes"
	"fmt"
	"image"
	_ "image/jpeg" // the formats that cameras and people's folders have
	_ "image/png"
)

// Largest picture that is decoded, in pixels: a 48 megapixel phone camera
// passes, a header that claims the address space does not.
const maxPixels = 50 << 20

// DecodePicture decodes a PNG or JPEG file. The size that the header claims is
// checked before pixels are allocated: at most 50 Mi pixels, and no more than
// the best compression of either format (below 1100 pixels a byte) can hold.
func DecodePicture(data []byte) (image.Image, error) {
	cfg, format, err := image.DecodeConfig(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	n := int64(cfg.Width) * int64(cfg.Height)
	if cfg.Width <= 0 || cfg.Height <= 0 || n > maxPixels {
		return nil, fmt.Errorf("%s: size %dx%d not accepted", format, cfg.Width, cfg.Height)
	}
	if n/8 > 1100*int64(len(data)) {
		return nil, fmt.Errorf("%s: %dx%d pixels cannot be in %d bytes", format, cfg.Width, cfg.Height, len(data))
	}
	img, _, err := image.Decode(bytes.NewReader(data))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", format, err)
	}
	return img, nil
}
