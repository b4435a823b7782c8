/*
 * What QEMU calls to bring devices into a container and out again, without QEMU around it: the baseline
 * of converge-nvme and teardown-nvme.
 *
 *   converge serial|threads CDEV...
 *
 * `serial` makes the calls as QEMU does, one device after another. `threads` makes the same calls with a
 * thread a device; only the list of HWPTs is behind a lock. Prints milliseconds as one JSON object: both
 * ways as a whole, and the sum of what BIND and close took, each with its reset.
 * Source of the order: hw/vfio/iommufd.c of QEMU (10.0), iommufd_cdev_attach and iommufd_cdev_detach.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/iommufd.h>
#include <linux/vfio.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

enum { DEVICES_MAX = 64 };

struct hwpt {
    uint32_t id;
    int users;
};

struct device {
    const char *cdev;
    int fd;
    uint32_t id;
    struct hwpt *hwpt;
    double bind_ms, close_ms;
};

static int iommufd;
static uint32_t ioas;
static struct hwpt hwpts[DEVICES_MAX];
static int hwpt_count;
static pthread_mutex_t list = PTHREAD_MUTEX_INITIALIZER;

static void die(const char *what)
{
    perror(what);
    exit(2);
}

static double now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1e3 + now.tv_nsec / 1e6;
}

static int attach(struct device *device, struct hwpt *hwpt)
{
    struct vfio_device_attach_iommufd_pt attach = { .argsz = sizeof(attach), .pt_id = hwpt->id };

    if (ioctl(device->fd, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &attach))
        return -errno;
    hwpt->users++;
    device->hwpt = hwpt;
    return 0;
}

/* Tries each HWPT of the container; EINVAL means the next one, none left means a new one. */
static void find_domain(struct device *device)
{
    for (int i = hwpt_count - 1; i >= 0; i--) {
        int refusal = attach(device, &hwpts[i]);

        if (!refusal)
            return;
        if (refusal != -EINVAL)
            die("VFIO_DEVICE_ATTACH_IOMMUFD_PT");
    }
    struct iommu_hw_info info = { .size = sizeof(info), .dev_id = device->id };
    if (ioctl(iommufd, IOMMU_GET_HW_INFO, &info))
        die("IOMMU_GET_HW_INFO");
    struct iommu_hwpt_alloc alloc = {
        .size = sizeof(alloc), .dev_id = device->id, .pt_id = ioas,
        .flags = info.out_capabilities & IOMMU_HW_CAP_DIRTY_TRACKING
                     ? IOMMU_HWPT_ALLOC_DIRTY_TRACKING : 0,
    };
    if (ioctl(iommufd, IOMMU_HWPT_ALLOC, &alloc))
        die("IOMMU_HWPT_ALLOC");
    hwpts[hwpt_count] = (struct hwpt){ .id = alloc.out_hwpt_id };
    if (attach(device, &hwpts[hwpt_count++]))
        die("VFIO_DEVICE_ATTACH_IOMMUFD_PT");
}

static void iova_ranges(void)
{
    struct iommu_iova_range ranges[64];
    struct iommu_ioas_iova_ranges ask = { .size = sizeof(ask), .ioas_id = ioas };

    if (ioctl(iommufd, IOMMU_IOAS_IOVA_RANGES, &ask) && errno != EMSGSIZE)
        die("IOMMU_IOAS_IOVA_RANGES");
    ask.allowed_iovas = (uintptr_t)ranges;
    if (ask.num_iovas > 64 || ioctl(iommufd, IOMMU_IOAS_IOVA_RANGES, &ask))
        die("IOMMU_IOAS_IOVA_RANGES");
}

static void *enter(void *of)
{
    struct device *device = of;
    char path[128];

    snprintf(path, sizeof(path), "/dev/vfio/devices/%s", device->cdev);
    device->fd = open(path, O_RDWR | O_CLOEXEC);
    if (device->fd < 0)
        die(path);
    struct vfio_device_bind_iommufd bind = { .argsz = sizeof(bind), .iommufd = iommufd };
    double start = now_ms();
    if (ioctl(device->fd, VFIO_DEVICE_BIND_IOMMUFD, &bind))
        die("VFIO_DEVICE_BIND_IOMMUFD");
    device->bind_ms = now_ms() - start;
    device->id = bind.out_devid;

    pthread_mutex_lock(&list);
    if (ioas == 0) {
        struct iommu_ioas_alloc alloc = { .size = sizeof(alloc) };
        if (ioctl(iommufd, IOMMU_IOAS_ALLOC, &alloc))
            die("IOMMU_IOAS_ALLOC");
        ioas = alloc.out_ioas_id;
    }
    find_domain(device);
    iova_ranges();
    pthread_mutex_unlock(&list);

    struct vfio_device_info info = { .argsz = sizeof(info) };
    if (ioctl(device->fd, VFIO_DEVICE_GET_INFO, &info))
        die("VFIO_DEVICE_GET_INFO");
    return NULL;
}

static void destroy(uint32_t id)
{
    struct iommu_destroy destroy = { .size = sizeof(destroy), .id = id };

    if (ioctl(iommufd, IOMMU_DESTROY, &destroy))
        die("IOMMU_DESTROY");
}

static void *leave(void *of)
{
    struct device *device = of;
    struct vfio_device_detach_iommufd_pt detach = { .argsz = sizeof(detach) };

    pthread_mutex_lock(&list);
    if (ioctl(device->fd, VFIO_DEVICE_DETACH_IOMMUFD_PT, &detach))
        die("VFIO_DEVICE_DETACH_IOMMUFD_PT");
    if (--device->hwpt->users == 0)
        destroy(device->hwpt->id);
    pthread_mutex_unlock(&list);
    double start = now_ms();
    if (close(device->fd))
        die("close");
    device->close_ms = now_ms() - start;
    return NULL;
}

static void each(struct device *devices, int count, int threads, void *(*work)(void *))
{
    pthread_t ids[DEVICES_MAX];

    for (int i = 0; i < count; i++) {
        if (!threads)
            work(&devices[i]);
        else if (pthread_create(&ids[i], NULL, work, &devices[i]))
            die("pthread_create");
    }
    for (int i = 0; threads && i < count; i++)
        pthread_join(ids[i], NULL);
}

int main(int argc, char **argv)
{
    struct device devices[DEVICES_MAX] = { 0 };
    int count = argc - 2, threads = argc > 1 && strcmp(argv[1], "threads") == 0;
    double bind_ms = 0, close_ms = 0;

    if (count < 1 || count > DEVICES_MAX) {
        fprintf(stderr, "usage: converge serial|threads CDEV...\n");
        return 2;
    }
    for (int i = 0; i < count; i++)
        devices[i].cdev = argv[2 + i];

    double start = now_ms();
    iommufd = open("/dev/iommu", O_RDWR | O_CLOEXEC);
    if (iommufd < 0)
        die("/dev/iommu");
    each(devices, count, threads, enter);
    double middle = now_ms();
    each(devices, count, threads, leave);
    destroy(ioas);
    close(iommufd);
    double end = now_ms();

    for (int i = 0; i < count; i++) {
        bind_ms += devices[i].bind_ms;
        close_ms += devices[i].close_ms;
    }
    printf("{\"convergeMs\": %.3f, \"teardownMs\": %.3f, \"bindMs\": %.3f, \"closeMs\": %.3f}\n",
           middle - start, end - middle, bind_ms, close_ms);
    return 0;
}
