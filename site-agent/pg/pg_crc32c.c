/* CRC-32C in software, eight bytes a step: walking the WAL of one checkpoint must be bound by the disk, not by this. */
#include "site-agent/pg/pg_crc32c.h"
#include <pthread.h>

#define POLYNOMIAL_REFLECTED 0x82F63B78u
#define STEP 8

/* table[k][b]: the effect of byte b that is followed by k zero bytes */
static uint32_t table[STEP][256];
static pthread_once_t table_once = PTHREAD_ONCE_INIT;

static void table_make(void) {
    for (uint32_t b = 0; b < 256; b++) {
        uint32_t crc = b;
        for (int bit = 0; bit < 8; bit++) crc = (crc >> 1) ^ ((crc & 1u) ? POLYNOMIAL_REFLECTED : 0u);
        table[0][b] = crc;
    }
    for (int k = 1; k < STEP; k++)
        for (uint32_t b = 0; b < 256; b++) table[k][b] = (table[k - 1][b] >> 8) ^ table[0][table[k - 1][b] & 0xFF];
}

uint32_t pg_crc32c(uint32_t crc, const void *data, size_t len) {
    const uint8_t *p = data;
    pthread_once(&table_once, table_make);
    crc = ~crc;
    for (; len >= STEP; len -= STEP, p += STEP)
        crc = table[7][(crc & 0xFF) ^ p[0]] ^ table[6][((crc >> 8) & 0xFF) ^ p[1]] ^ table[5][((crc >> 16) & 0xFF) ^ p[2]] ^
              table[4][(crc >> 24) ^ p[3]] ^ table[3][p[4]] ^ table[2][p[5]] ^ table[1][p[6]] ^ table[0][p[7]];
    for (; len > 0; len--) crc = (crc >> 8) ^ table[0][(crc ^ *p++) & 0xFF];
    return ~crc;
}
