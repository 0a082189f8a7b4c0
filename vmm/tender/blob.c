/* blob.c - names of the embedded files (blob_data.S) */
#include "vmm/tender/blob.h"

#define DECLARE(sym) extern const unsigned char sym[], sym##_end[]
DECLARE(blob_libos_data);
DECLARE(blob_vdso_data);
DECLARE(blob_stub_data);

const struct blob blob_libos = {
	"libos.elf", blob_libos_data, blob_libos_data_end
};
const struct blob blob_vdso = {
	"vdso.so", blob_vdso_data, blob_vdso_data_end
};
const struct blob blob_stub = {
	"stub.elf", blob_stub_data, blob_stub_data_end
};
