// Scans a file with vectorscan, chunk by chunk. Prints the median of its CPU seconds, and what the
// library made of the patterns.
//
// usage: scan PATTERNS CORPUS MATCHES CHUNK_BYTES N_RUNS
// PATTERNS has one regular expression a line. MATCHES is written: for each match 64 bits, the
// offset of its end times 256 plus the line of its pattern. Without start of match, in block mode:
// the fastest that the library offers.
#define _GNU_SOURCE
#include <hs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { PATTERNS_MAX = 64, RUNS_MAX = 99 };

typedef struct {
    unsigned long long *words;
    size_t n_words, capacity_words;
    unsigned long long base;
} matches_t;

static void fail(const char *what, const char *why) {
    fprintf(stderr, "%s: %s\n", what, why);
    exit(1);
}

static char *read_file(const char *path, size_t *n_bytes) {
    FILE *file = fopen(path, "rb");
    if (!file) fail(path, "cannot be opened");
    fseek(file, 0, SEEK_END);
    *n_bytes = (size_t)ftell(file);
    rewind(file);
    char *bytes = malloc(*n_bytes + 1);
    if (!bytes || fread(bytes, 1, *n_bytes, file) != *n_bytes) fail(path, "cannot be read");
    bytes[*n_bytes] = 0;
    fclose(file);
    return bytes;
}

static double cpu_seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static int on_match(unsigned id, unsigned long long from, unsigned long long to, unsigned flags,
                    void *context) {
    (void)from, (void)flags;
    matches_t *matches = context;
    if (matches->n_words == matches->capacity_words) {
        matches->capacity_words = 2 * matches->capacity_words + 4096;
        matches->words =
            realloc(matches->words, matches->capacity_words * sizeof matches->words[0]);
        if (!matches->words) fail("matches", "no memory");
    }
    matches->words[matches->n_words++] = (matches->base + to) << 8 | id;
    return 0;
}

static hs_database_t *compile(char *patterns) {
    const char *lines[PATTERNS_MAX];
    unsigned ids[PATTERNS_MAX], flags[PATTERNS_MAX], n_patterns = 0;
    for (char *line = strtok(patterns, "\n"); line; line = strtok(NULL, "\n")) {
        if (n_patterns == PATTERNS_MAX) fail("patterns", "too many");
        lines[n_patterns] = line;
        ids[n_patterns] = n_patterns;
        flags[n_patterns] = HS_FLAG_MULTILINE;
        n_patterns++;
    }
    hs_database_t *database;
    hs_compile_error_t *error;
    if (hs_compile_multi(lines, flags, ids, n_patterns, HS_MODE_BLOCK, NULL, &database, &error))
        fail(error->expression < 0 ? "patterns" : lines[error->expression], error->message);
    return database;
}

static void scan(const hs_database_t *database, hs_scratch_t *scratch, const char *bytes,
                 size_t n_bytes, size_t chunk_bytes, matches_t *matches) {
    size_t at = 0;
    matches->n_words = 0;
    while (at < n_bytes) {
        size_t limit = n_bytes - at < chunk_bytes ? n_bytes - at : chunk_bytes;
        const char *last = memrchr(bytes + at, '\n', limit);
        size_t length = last ? (size_t)(last - (bytes + at)) + 1 : limit;
        matches->base = at;
        if (hs_scan(database, bytes + at, (unsigned)length, 0, scratch, on_match, matches))
            fail("scan", "failed");
        at += length;
    }
}

static int compare(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

int main(int n_args, char **args) {
    if (n_args != 6) fail("usage", "scan PATTERNS CORPUS MATCHES CHUNK_BYTES N_RUNS");
    size_t n_pattern_bytes, n_bytes, chunk_bytes = strtoul(args[4], NULL, 10);
    int n_runs = atoi(args[5]);
    if (n_runs < 1 || n_runs > RUNS_MAX || !chunk_bytes) fail("arguments", "out of range");
    hs_database_t *database = compile(read_file(args[1], &n_pattern_bytes));
    hs_scratch_t *scratch = NULL;
    if (hs_alloc_scratch(database, &scratch)) fail("scratch", "no memory");
    char *bytes = read_file(args[2], &n_bytes);
    matches_t matches = {0};
    double seconds[RUNS_MAX];
    scan(database, scratch, bytes, n_bytes, chunk_bytes, &matches); // warm up
    for (int run = 0; run < n_runs; run++) {
        double before = cpu_seconds();
        scan(database, scratch, bytes, n_bytes, chunk_bytes, &matches);
        seconds[run] = cpu_seconds() - before;
    }
    qsort(seconds, (size_t)n_runs, sizeof seconds[0], compare);
    FILE *file = fopen(args[3], "wb");
    if (!file) fail(args[3], "cannot be written");
    if (fwrite(matches.words, sizeof matches.words[0], matches.n_words, file) != matches.n_words)
        fail(args[3], "cannot be written");
    if (fclose(file)) fail(args[3], "cannot be written");
    char *info;
    if (hs_database_info(database, &info)) fail("database", "tells nothing");
    printf("%.9f %s\n", seconds[n_runs / 2], info);
    return 0;
}
