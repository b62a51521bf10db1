// As much of the Arduino core and its WiFi library as the snippet uses, on POSIX sockets: it is compiled and run as it is.
#pragma once
#include <arpa/inet.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <string>
#include <thread>

enum { WL_CONNECTED = 3 };

class String : public std::string {
 public:
  using std::string::string;
  String(const std::string &text) : std::string(text) {}
  bool startsWith(const char *start) const { return rfind(start, 0) == 0; }
  int indexOf(char one) const { return static_cast<int>(find(one)); }
  String substring(int from, int to) const { return String(substr(from, to - from)); }
};

class Print {
 public:
  virtual ~Print() = default;
  virtual void write(const std::string &text) = 0;
  void print(const std::string &text) { write(text); }
  void print(double value) {
    char text[32];
    snprintf(text, sizeof text, "%.2f", value);
    write(text);
  }
  template <typename T> void println(T value) {
    print(value);
    write("\r\n");
  }
};

class : public Print {
 public:
  void begin(int) {}
  void write(const std::string &text) override { fputs(text.c_str(), stdout), fflush(stdout); }
} Serial;

class {
 public:
  void begin(const char *, const char *) {}
  int status() { return WL_CONNECTED; }
} WiFi;

class WiFiClient : public Print {
 protected:
  int fd = -1;

 public:
  bool connected() { return fd >= 0; }
  bool connect(const char *host, int port) {
    fd = socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(static_cast<uint16_t>(port));
    inet_pton(AF_INET, host, &to.sin_addr);
    return ::connect(fd, reinterpret_cast<sockaddr *>(&to), sizeof to) == 0;
  }
  void write(const std::string &text) override { (void)!::write(fd, text.data(), text.size()); }
  bool available() {
    pollfd one{fd, POLLIN, 0};
    return poll(&one, 1, 50) > 0;
  }
  String readStringUntil(char end) {
    String line;
    char one;
    while (true) {
      if (read(fd, &one, 1) <= 0) _exit(0);
      if (one == end) return line;
      line += one;
    }
  }
};

inline unsigned long millis() {
  using namespace std::chrono;
  return duration_cast<milliseconds>(steady_clock::now().time_since_epoch()).count();
}
inline void delay(unsigned long ms) { std::this_thread::sleep_for(std::chrono::milliseconds(ms)); }
