/* CRC-32C (Castagnoli), as PostgreSQL guards pg_control and WAL records with. Private to this directory. */
#ifndef PG_CRC32C_H
#define PG_CRC32C_H
#include <stddef.h>
#include <stdint.h>

/* Checksum of `data` appended to what `crc` covers; start with 0. */
uint32_t pg_crc32c(uint32_t crc, const void *data, size_t len);
#endif
