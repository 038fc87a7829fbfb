/* What a plugin has of the C library. */
#pragma once

#include <stddef.h>

/* One instruction of WebAssembly. */
#define memcpy __builtin_memcpy

int memcmp(const void *one, const void *other, size_t length);
size_t strlen(const char *text);
