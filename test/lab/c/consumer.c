/*
 * A consumer in C: asks the hand-over socket for a container and becomes `edu` (edu.c) with what it got.
 * docs/hand-over.md describes what is said. It needs no right but that of connecting.
 *
 *   consumer SOCKET CONTAINER EDU IOVA ROUNDS
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { FILES_MAX = 253, ANSWER_MAX = 65536 };

static void die(const char *what)
{
    perror(what);
    exit(2);
}

static int ask(const char *path, const char *container)
{
    struct sockaddr_un to = { .sun_family = AF_UNIX };
    int desk = socket(AF_UNIX, SOCK_STREAM, 0);

    if (desk < 0)
        die("socket");
    strncpy(to.sun_path, path, sizeof(to.sun_path) - 1);
    if (connect(desk, (struct sockaddr *)&to, sizeof(to)))
        die("connect");
    dprintf(desk, "{\"formatVersion\":\"1.0\",\"kind\":\"HandOverRequest\",\"container\":\"%s\"}\n",
            container);
    return desk;
}

/* The files come along with the first bytes of the answer, in the order of its indices. */
static size_t receive(int desk, char *answer, int *files)
{
    union {
        struct cmsghdr header;
        char room[CMSG_SPACE(FILES_MAX * sizeof(int))];
    } control;
    struct iovec bytes = { .iov_base = answer, .iov_len = ANSWER_MAX - 1 };
    struct msghdr message = { .msg_iov = &bytes, .msg_iovlen = 1, .msg_control = &control,
                              .msg_controllen = sizeof(control) };
    ssize_t length = recvmsg(desk, &message, 0);
    struct cmsghdr *rights = CMSG_FIRSTHDR(&message);
    size_t size;

    if (length <= 0)
        die("recvmsg");
    answer[length] = '\0';
    if (!rights || rights->cmsg_type != SCM_RIGHTS) {
        fprintf(stderr, "refused: %s", answer);
        exit(6);
    }
    size = rights->cmsg_len - CMSG_LEN(0);
    memcpy(files, CMSG_DATA(rights), size);
    return size / sizeof(int);
}

/* The number behind "name": in a JSON text of one line. */
static const char *number(const char *text, const char *name, char *into)
{
    const char *at = strstr(text, name);

    if (!at)
        die(name);
    at += strlen(name);
    into[strspn(at, "0123456789")] = '\0';
    return memcpy(into, at, strspn(at, "0123456789"));
}

int main(int argc, char **argv)
{
    static char answer[ANSWER_MAX];
    int files[FILES_MAX];
    char device[16], context[16], ioas[16];

    if (argc != 6)
        return 2;
    if (receive(ask(argv[1], argv[2]), answer, files) < 2)
        die("a device");
    snprintf(context, sizeof(context), "%d", files[0]);
    snprintf(device, sizeof(device), "%d", files[1]);
    execl(argv[3], "edu", device, context, number(answer, "\"ioas\":", ioas), argv[4], argv[5], NULL);
    die(argv[3]);
}
