package pickle

// The opcodes that torch.save emits with pickle protocol 2.
const (
	opMark       = '('
	opStop       = '.'
	opBinInt     = 'J'
	opBinInt1    = 'K'
	opBinInt2    = 'M'
	opBinPersID  = 'Q'
	opReduce     = 'R'
	opBinUnicode = 'X'
	opBuild      = 'b'
	opGlobal     = 'c'
	opBinGet     = 'h'
	opLongBinGet = 'j'
	opBinPut     = 'q'
	opLongBinPut = 'r'
	opSetItem    = 's'
	opTuple      = 't'
	opSetItems   = 'u'
	opEmptyDict  = '}'
	opEmptyTuple = ')'
	opProto      = 0x80
	opTuple1     = 0x85
	opTuple2     = 0x86
	opTuple3     = 0x87
	opNewTrue    = 0x88
	opNewFalse   = 0x89
	opLong1      = 0x8a
)

// opNames holds the names of Python's pickletools for every opcode up to
// protocol 5, so that a refusal can say what was found.
var opNames = [256]string{
	'(': "MARK", ')': "EMPTY_TUPLE", '.': "STOP", '0': "POP", '1': "POP_MARK", '2': "DUP",
	'B': "BINBYTES", 'C': "SHORT_BINBYTES", 'F': "FLOAT", 'G': "BINFLOAT", 'I': "INT", 'J': "BININT",
	'K': "BININT1", 'L': "LONG", 'M': "BININT2", 'N': "NONE", 'P': "PERSID", 'Q': "BINPERSID",
	'R': "REDUCE", 'S': "STRING", 'T': "BINSTRING", 'U': "SHORT_BINSTRING", 'V': "UNICODE",
	'X': "BINUNICODE", ']': "EMPTY_LIST", 'a': "APPEND", 'b': "BUILD", 'c': "GLOBAL", 'd': "DICT",
	'e': "APPENDS", 'g': "GET", 'h': "BINGET", 'i': "INST", 'j': "LONG_BINGET", 'l': "LIST",
	'o': "OBJ", 'p': "PUT", 'q': "BINPUT", 'r': "LONG_BINPUT", 's': "SETITEM", 't': "TUPLE",
	'u': "SETITEMS", '}': "EMPTY_DICT",
	0x80: "PROTO", 0x81: "NEWOBJ", 0x82: "EXT1", 0x83: "EXT2", 0x84: "EXT4", 0x85: "TUPLE1",
	0x86: "TUPLE2", 0x87: "TUPLE3", 0x88: "NEWTRUE", 0x89: "NEWFALSE", 0x8a: "LONG1", 0x8b: "LONG4",
	0x8c: "SHORT_BINUNICODE", 0x8d: "BINUNICODE8", 0x8e: "BINBYTES8", 0x8f: "EMPTY_SET",
	0x90: "ADDITEMS", 0x91: "FROZENSET", 0x92: "NEWOBJ_EX", 0x93: "STACK_GLOBAL", 0x94: "MEMOIZE",
	0x95: "FRAME", 0x96: "BYTEARRAY8", 0x97: "NEXT_BUFFER", 0x98: "READONLY_BUFFER",
}

// role says what may be done with a global.
type role uint8

const (
	roleDict   role = iota // called with (): an empty dictionary
	roleObject             // called with a tuple: an Object
	roleClass              // only named, inside a persistent id
)

// globals is the whole world that a pickle can refer to, in the notation of
// the GLOBAL opcode. LongStorage is there for the integer position_ids that
// older CLIP towers carry.
var globals = [...]struct {
	name string
	role role
}{
	{"collections OrderedDict", roleDict},
	{"torch._utils _rebuild_tensor_v2", roleObject},
	{"torch FloatStorage", roleClass},
	{"torch HalfStorage", roleClass},
	{"torch BFloat16Storage", roleClass},
	{"torch LongStorage", roleClass},
}
