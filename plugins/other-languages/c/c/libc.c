/* The C library of a plugin. A whole one would bring WASI with it, which no plugin may import.
 *
 * What a call allocates lies in one row, and all of it is given back when none of it is in use, which is so after every
 * call that frees what it was given. Nothing has to be found again: freeing counts down. */

#include <stdint.h>

#include <stdlib.h>
#include <string.h>

#define PAGE 65536u

/* Before each piece its size, in as many bytes as keep what follows aligned for any type of the contract. */
typedef struct {
    uint64_t size;
} header_t;

/* Where the linker put the end of everything else. */
extern unsigned char __heap_base;

static size_t pieces;
static uint64_t next;

void *malloc(size_t size) {
    if (pieces == 0) {
        next = ((uintptr_t)&__heap_base + sizeof(header_t) - 1) & ~(sizeof(header_t) - 1);
    }
    /* In 64 bits, where no sum of addresses wraps. */
    uint64_t end = (next + sizeof(header_t) + size + sizeof(header_t) - 1) & ~(uint64_t)(sizeof(header_t) - 1);
    uint64_t have = (uint64_t)__builtin_wasm_memory_size(0) * PAGE;
    if (end > have && (end > UINT32_MAX || __builtin_wasm_memory_grow(0, (end - have + PAGE - 1) / PAGE) == SIZE_MAX)) {
        abort();
    }
    header_t *header = (header_t *)(uintptr_t)next;
    header->size = size;
    next = end;
    pieces++;
    return header + 1;
}

void free(void *old) {
    pieces -= old != NULL;
}

void *realloc(void *old, size_t size) {
    void *new = malloc(size);
    if (old != NULL) {
        uint64_t before = ((header_t *)old - 1)->size;
        memcpy(new, old, before < size ? before : size);
        free(old);
    }
    return new;
}

int memcmp(const void *one, const void *other, size_t length) {
    const unsigned char *left = one, *right = other;
    size_t at = 0;
    /* Eight at a time as long as they are the same: fuel counts steps. */
    for (uint64_t here, there; length - at >= sizeof here; at += sizeof here) {
        memcpy(&here, left + at, sizeof here);
        memcpy(&there, right + at, sizeof there);
        if (here != there) {
            break;
        }
    }
    for (; at < length; at++) {
        if (left[at] != right[at]) {
            return left[at] < right[at] ? -1 : 1;
        }
    }
    return 0;
}

size_t strlen(const char *text) {
    size_t length = 0;
    while (text[length] != '\0') {
        length++;
    }
    return length;
}
