/* What a plugin has of the C library. */
#pragma once

#include <stddef.h>

/* Nothing fails quietly: without memory the call ends in a trap. */
void *malloc(size_t size);
void *realloc(void *old, size_t size);
void free(void *old);

#define abort() __builtin_trap()
