#ifndef SERVER_H
#define SERVER_H

/* Serves a request; returns the size of the answer, or -1. */
long serve(int id, long size);

#endif
