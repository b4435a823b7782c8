/*
 * The bare cost of one ioctl, in a loop: the baseline of ioctl-overhead.
 *
 *   ioctl window COUNT    TIOCGWINSZ on a new pseudo-terminal, which any machine has
 *   ioctl option COUNT    IOMMU_OPTION (get HUGE_PAGES) on an IOAS, where there is iommufd
 *
 * Like the typed call it clears the request and fills it in each time. Prints nanoseconds of CPU a call.
 */
#include <fcntl.h>
#include <linux/iommufd.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

static void die(const char *what)
{
    perror(what);
    exit(2);
}

static void window_size(int fd, uint32_t id)
{
    /* As wide as the row of the typed call; the kernel fills the first eight bytes. */
    union {
        struct winsize size;
        struct iommu_hwpt_alloc wide;
    } request = { 0 };

    (void)id;
    if (ioctl(fd, TIOCGWINSZ, &request))
        die("TIOCGWINSZ");
}

static void huge_pages(int fd, uint32_t ioas)
{
    struct iommu_option option = {
        .size = sizeof(option), .option_id = IOMMU_OPTION_HUGE_PAGES,
        .op = IOMMU_OPTION_OP_GET, .object_id = ioas,
    };

    if (ioctl(fd, IOMMU_OPTION, &option))
        die("IOMMU_OPTION");
}

int main(int argc, char **argv)
{
    struct iommu_ioas_alloc alloc = { .size = sizeof(alloc) };
    struct timespec start, end;

    if (argc != 3) {
        fprintf(stderr, "usage: ioctl window|option COUNT\n");
        return 2;
    }
    int window = strcmp(argv[1], "window") == 0;
    long count = atol(argv[2]);
    const char *path = window ? "/dev/ptmx" : "/dev/iommu";
    int fd = open(path, O_RDWR | O_CLOEXEC | O_NOCTTY);
    if (fd < 0)
        die(path);
    if (!window && ioctl(fd, IOMMU_IOAS_ALLOC, &alloc))
        die("IOMMU_IOAS_ALLOC");
    void (*one)(int, uint32_t) = window ? window_size : huge_pages;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &start);
    for (long i = 0; i < count; i++)
        one(fd, alloc.out_ioas_id);
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &end);
    printf("%.1f\n", ((end.tv_sec - start.tv_sec) * 1e9 + end.tv_nsec - start.tv_nsec) / count);
    return 0;
}
