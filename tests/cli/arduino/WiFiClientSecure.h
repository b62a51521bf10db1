// Of WiFiClientSecure what the snippet uses: a WiFiClient whose other end is openssl, which trusts nobody but the CA.
#pragma once
#include <cstdlib>

#include "WiFi.h"

inline void configTime(long, int, const char *) {}

class WiFiClientSecure : public WiFiClient {
  std::string ca = "/nobody";

 public:
  void setCACert(const char *pem) {
    char path[] = "/tmp/hardpoint-ca-XXXXXX";
    int file = mkstemp(path);
    (void)!::write(file, pem, std::string(pem).size());
    close(file);
    ca = path;
  }
  bool connect(const char *host, int port) {
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends) != 0) return false;
    if (fork() == 0) {
      dup2(ends[1], 0), dup2(ends[1], 1), close(ends[0]);
      std::string to = std::string(host) + ":" + std::to_string(port);
      execlp("openssl", "openssl", "s_client", "-quiet", "-verify_return_error", "-no-CApath", "-no-CAstore", "-CAfile",
             ca.c_str(), "-verify_ip", host, "-connect", to.c_str(), nullptr);
      _exit(1);
    }
    close(ends[1]);
    fd = ends[0];
    return true;
  }
};
