// Writes ggml.gguf with ggml's own writer, as the reference for ours.
//
//	ggml_gguf OUT.gguf
//
// Linked with src/gguf.cpp, src/ggml.c, src/ggml-quants.c and
// src/ggml-threading.cpp of github.com/ggml-org/ggml, commit d99724f2.

#include <cstring>

#include "ggml.h"
#include "gguf.h"

int main(int, char **argv) {
    gguf_context *g = gguf_init_empty();
    gguf_set_val_str(g, "general.architecture", "visualrwkv");
    gguf_set_val_u8(g, "t.u8", 200);
    gguf_set_val_i8(g, "t.i8", -7);
    gguf_set_val_u16(g, "t.u16", 60000);
    gguf_set_val_i16(g, "t.i16", -30000);
    gguf_set_val_u32(g, "t.u32", 4000000000u);
    gguf_set_val_i32(g, "t.i32", -2000000000);
    gguf_set_val_f32(g, "t.f32", 0.1f);
    gguf_set_val_bool(g, "t.bool", true);
    gguf_set_val_str(g, "t.str", "gr\xc3\xbc\xc3\x9f""e\n");
    gguf_set_val_u64(g, "t.u64", 1ull << 63);
    gguf_set_val_i64(g, "t.i64", -5000000000ll);
    gguf_set_val_f64(g, "t.f64", -1e300);
    const char *strs[] = {"siglip", "", "dino"};
    gguf_set_arr_str(g, "t.strs", strs, 3);
    const float f32s[] = {0.5f, 0.25f, -1};
    gguf_set_arr_data(g, "t.f32s", GGUF_TYPE_FLOAT32, f32s, 3);
    const int8_t bools[] = {1, 0, 1};
    gguf_set_arr_data(g, "t.bools", GGUF_TYPE_BOOL, bools, 3);
    const uint16_t u16s[] = {1, 65535};
    gguf_set_arr_data(g, "t.u16s", GGUF_TYPE_UINT16, u16s, 2);

    ggml_context *c = ggml_init({1 << 20, nullptr, false});
    auto add = [&](const char *name, ggml_tensor *t) {
        ggml_set_name(t, name);
        auto *data = static_cast<uint8_t *>(t->data);
        for (size_t i = 0; i < ggml_nbytes(t); i++) data[i] = uint8_t(i * 7 + strlen(name));
        gguf_add_tensor(g, t);
    };
    add("rwkv.a.weight", ggml_new_tensor_2d(c, GGML_TYPE_F32, 3, 5));
    add("half", ggml_new_tensor_1d(c, GGML_TYPE_F16, 7));
    add("brain", ggml_new_tensor_3d(c, GGML_TYPE_BF16, 2, 3, 4));
    add("q8", ggml_new_tensor_2d(c, GGML_TYPE_Q8_0, 64, 2));
    add("q4", ggml_new_tensor_2d(c, GGML_TYPE_Q4_0, 32, 3));
    add("k6", ggml_new_tensor_1d(c, GGML_TYPE_Q6_K, 256));
    add("packed", ggml_new_tensor_1d(c, GGML_TYPE_I8, 5));
    return gguf_write_to_file(g, argv[1], false) ? 0 : 1;
}
