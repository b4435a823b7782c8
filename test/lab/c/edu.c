/*
 * edu.ts again, as a consumer in C sees it: it is handed a bound and attached `edu` function and its
 * context as open files, and needs no right but those.
 *
 *   edu DEVICE_FD IOMMUFD_FD IOAS_ID IOVA [ROUNDS]
 *
 * Each round the device reads a page of one pattern and writes it back to another page; every byte is
 * compared. Prints one line and ends with 0 where all are the same, 1 where not, 2 where a call failed.
 */
#include <linux/iommufd.h>
#include <linux/vfio.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

enum {
    PAGE = 4096,
    LENGTH = PAGE - 1, /* QEMU 7.2 aborts at the last byte of the buffer. */
    DMA_SOURCE = 0x80,
    DMA_TARGET = 0x88,
    DMA_COUNT = 0x90,
    DMA_COMMAND = 0x98,
    DEVICE_BUFFER = 0x40000,
    FROM_MEMORY = 1,
    TO_MEMORY = 3,
};

static void die(const char *what)
{
    perror(what);
    exit(2);
}

static off_t region(int device, uint32_t index)
{
    struct vfio_region_info info = { .argsz = sizeof(info), .index = index };

    if (ioctl(device, VFIO_DEVICE_GET_REGION_INFO, &info))
        die("VFIO_DEVICE_GET_REGION_INFO");
    return (off_t)info.offset;
}

static void put(int device, off_t at, const void *value, size_t size)
{
    if (pwrite(device, value, size, at) != (ssize_t)size)
        die("pwrite");
}

static void get(int device, off_t at, void *value, size_t size)
{
    if (pread(device, value, size, at) != (ssize_t)size)
        die("pread");
}

static void master_on(int device)
{
    off_t command = region(device, VFIO_PCI_CONFIG_REGION_INDEX) + 4;
    uint16_t bits;

    get(device, command, &bits, sizeof(bits));
    bits |= 2 | 4; /* memory space, bus master */
    put(device, command, &bits, sizeof(bits));
}

static void transfer(int device, off_t bar, uint32_t source, uint32_t target, uint32_t command)
{
    uint32_t length = LENGTH;
    int waited_ms = 0;

    put(device, bar + DMA_SOURCE, &source, 4);
    put(device, bar + DMA_TARGET, &target, 4);
    put(device, bar + DMA_COUNT, &length, 4);
    put(device, bar + DMA_COMMAND, &command, 4);
    do {
        nanosleep(&(struct timespec){ .tv_nsec = 2000000 }, NULL);
        get(device, bar + DMA_COMMAND, &command, 4);
        if ((waited_ms += 2) > 5000) {
            fprintf(stderr, "edu does not end its transfer\n");
            exit(2);
        }
    } while (command & 1);
}

int main(int argc, char **argv)
{
    if (argc < 5) {
        fprintf(stderr, "usage: edu DEVICE_FD IOMMUFD_FD IOAS_ID IOVA [ROUNDS]\n");
        return 2;
    }
    int device = atoi(argv[1]), iommufd = atoi(argv[2]);
    uint32_t ioas = (uint32_t)atoi(argv[3]), iova = (uint32_t)strtoul(argv[4], NULL, 0);
    int rounds = argc > 5 ? atoi(argv[5]) : 1;
    long differ = 0;

    uint8_t *memory = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE,
                           MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        die("mmap");
    struct iommu_ioas_map map = {
        .size = sizeof(map),
        .flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE | IOMMU_IOAS_MAP_WRITEABLE,
        .ioas_id = ioas,
        .user_va = (uintptr_t)memory,
        .length = 2 * PAGE,
        .iova = iova,
    };
    if (ioctl(iommufd, IOMMU_IOAS_MAP, &map))
        die("IOMMU_IOAS_MAP");
    master_on(device);
    off_t bar = region(device, VFIO_PCI_BAR0_REGION_INDEX);

    for (int round = 0; round < rounds; round++) {
        for (int i = 0; i < LENGTH; i++) {
            memory[i] = (uint8_t)(i * 7 + round * 13 + 1);
            memory[PAGE + i] = (uint8_t)~memory[i];
        }
        transfer(device, bar, iova, DEVICE_BUFFER, FROM_MEMORY);
        transfer(device, bar, DEVICE_BUFFER, iova + PAGE, TO_MEMORY);
        for (int i = 0; i < LENGTH; i++)
            differ += memory[i] != memory[PAGE + i];
    }
    struct iommu_ioas_unmap unmap = {
        .size = sizeof(unmap), .ioas_id = ioas, .iova = iova, .length = 2 * PAGE,
    };
    if (ioctl(iommufd, IOMMU_IOAS_UNMAP, &unmap))
        die("IOMMU_IOAS_UNMAP");
    printf("edu: %d rounds of %d bytes, %ld differ\n", rounds, LENGTH, differ);
    return differ != 0;
}
