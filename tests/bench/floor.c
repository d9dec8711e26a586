/* The physical floor of W1: the same files, written, or read and compared. No fsync on either side.
 * usage: floor create|check DIR N */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static int text(char *out, size_t size, int n) {
    return snprintf(out, size, "# item %d\nname = item%d\nkey0 = %d\nkey1 = %d\nkey2 = %d\n", n, n, n, n * 2, n * 3);
}

int main(int argc, char **argv) {
    if (argc != 4) return 2;
    int create = !strcmp(argv[1], "create"), count = atoi(argv[3]), bad = 0;
    char path[4096], want[256], have[256];
    if (create) mkdir(argv[2], 0755);
    for (int n = 0; n < count; n++) {
        int len = text(want, sizeof want, n);
        snprintf(path, sizeof path, "%s/f%d.conf", argv[2], n);
        FILE *f = fopen(path, create ? "w" : "r");
        if (!f) return 1;
        if (create) fwrite(want, 1, len, f);
        else {
            struct stat st;
            int got = (int)fread(have, 1, sizeof have, f);
            bad += fstat(fileno(f), &st) || got != len || memcmp(want, have, len);
        }
        fclose(f);
    }
    if (bad) fprintf(stderr, "%d files differ\n", bad);
    return bad != 0;
}
