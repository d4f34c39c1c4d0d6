/* A plugin that makes mosquitto 2.0.11 answer like a hub as far as the benchmarks need it, so that the same client can
 * be pointed at it: passwords are SAS tokens checked with the device's key, $iothub/twin/GET is answered with a stored
 * twin document, a reported patch is kept as a retained QoS 1 message of the broker and then acknowledged.
 * Options: plugin_opt_keys_file FILE ("device base64key" lines), plugin_opt_twin_bytes N (size of a twin document).
 * Everything runs on mosquitto's only thread. */
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <mosquitto.h>
#include <mosquitto_broker.h>
#include <mosquitto_plugin.h>

struct device {
  struct device* next;
  char name[129];
  unsigned char key[64];
  int key_size;
  unsigned long version;
};

#define BUCKETS 65536U

static struct device* buckets[BUCKETS];
static mosquitto_plugin_id_t* plugin;
static char* twin_text;
static size_t twin_size;

static unsigned hash(const char* text, size_t size) {
  uint32_t value = 2166136261U; /* FNV-1a */
  for (size_t i = 0; i < size; ++i) value = (value ^ (unsigned char)text[i]) * 16777619U;
  return value % BUCKETS;
}

static struct device* find(const char* name, size_t size) {
  for (struct device* d = buckets[hash(name, size)]; d != NULL; d = d->next)
    if (strncmp(d->name, name, size) == 0 && d->name[size] == 0) return d;
  return NULL;
}

static int decode(unsigned char* out, int space, const char* text) {
  const int size = (int)strlen(text);
  unsigned char buffer[256];
  if (size > 300) return -1;
  int decoded = EVP_DecodeBlock(buffer, (const unsigned char*)text, size);
  if (decoded < 0) return -1;
  for (int i = size - 1; i >= 0 && text[i] == '='; --i) --decoded;
  if (decoded > space) return -1;
  memcpy(out, buffer, (size_t)decoded);
  return decoded;
}

static void percent_decode(char* text) {
  char* out = text;
  for (const char* in = text; *in != 0;) {
    unsigned byte = 0;
    if (*in == '%' && in[1] != 0 && in[2] != 0 && sscanf(in + 1, "%2x", &byte) == 1) {
      *out++ = (char)byte;
      in += 3;
    } else {
      *out++ = *in++;
    }
  }
  *out = 0;
}

static bool read_keys(const char* file) {
  FILE* in = fopen(file, "r");
  if (in == NULL) return false;
  char name[129], key[128];
  while (fscanf(in, "%128s %127s", name, key) == 2) {
    struct device* d = calloc(1, sizeof *d);
    snprintf(d->name, sizeof d->name, "%s", name);
    d->key_size = decode(d->key, sizeof d->key, key);
    const unsigned bucket = hash(name, strlen(name));
    d->next = buckets[bucket];
    buckets[bucket] = d;
  }
  fclose(in);
  return true;
}

/* The value of "NAME=" in a token, copied out; false when it is not there. */
static bool part(const char* token, const char* name, char* out, size_t space) {
  const char* at = strstr(token, name);
  if (at == NULL) return false;
  at += strlen(name);
  const size_t size = strcspn(at, "&");
  if (size >= space) return false;
  memcpy(out, at, size);
  out[size] = 0;
  return true;
}

static int on_auth(int event, void* data, void* user) {
  (void)event;
  (void)user;
  struct mosquitto_evt_basic_auth* auth = data;
  char scope[300], sig[128], expiry[24], text[400];
  if (auth->username == NULL || auth->password == NULL) return MOSQ_ERR_AUTH;
  const char* name = strchr(auth->username, '/');
  if (name == NULL) return MOSQ_ERR_AUTH;
  ++name;
  const struct device* d = find(name, strcspn(name, "/"));
  if (d == NULL || !part(auth->password, "sr=", scope, sizeof scope) ||
      !part(auth->password, "sig=", sig, sizeof sig) || !part(auth->password, "se=", expiry, sizeof expiry) ||
      strtoll(expiry, NULL, 10) < (long long)time(NULL))
    return MOSQ_ERR_AUTH;
  const int size = snprintf(text, sizeof text, "%s\n%s", scope, expiry);
  unsigned char made[EVP_MAX_MD_SIZE], given[64];
  unsigned made_size = 0;
  HMAC(EVP_sha256(), d->key, d->key_size, (const unsigned char*)text, (size_t)size, made, &made_size);
  percent_decode(sig);
  percent_decode(scope);
  const char* device = strrchr(scope, '/');
  if (decode(given, sizeof given, sig) != 32 || memcmp(made, given, 32) != 0 || device == NULL ||
      strcmp(device + 1, d->name) != 0)
    return MOSQ_ERR_AUTH;
  return MOSQ_ERR_SUCCESS;
}

static int on_acl(int event, void* data, void* user) {
  (void)event;
  (void)data;
  (void)user;
  return MOSQ_ERR_SUCCESS;
}

static const char kGet[] = "$iothub/twin/GET/?$rid=";
static const char kPatch[] = "$iothub/twin/PATCH/properties/reported/?$rid=";

static int on_message(int event, void* data, void* user) {
  (void)event;
  (void)user;
  struct mosquitto_evt_message* message = data;
  if (message->client == NULL || message->topic[0] != '$') return MOSQ_ERR_SUCCESS;
  const char* id = mosquitto_client_id(message->client);
  char topic[200];
  if (strncmp(message->topic, kGet, sizeof kGet - 1) == 0) {
    snprintf(topic, sizeof topic, "$iothub/twin/res/200/?$rid=%s", message->topic + sizeof kGet - 1);
    mosquitto_broker_publish_copy(id, topic, (int)twin_size, twin_text, 0, false, NULL);
  } else if (strncmp(message->topic, kPatch, sizeof kPatch - 1) == 0) {
    struct device* d = find(id, strlen(id));
    if (d == NULL) return MOSQ_ERR_ACL_DENIED;
    snprintf(topic, sizeof topic, "state/%s", id);
    mosquitto_broker_publish_copy(NULL, topic, (int)message->payloadlen, message->payload, 1, true, NULL);
    snprintf(topic, sizeof topic, "$iothub/twin/res/204/?$rid=%s&$version=%lu", message->topic + sizeof kPatch - 1,
             ++d->version + 1);
    mosquitto_broker_publish_copy(id, topic, 0, "", 0, false, NULL);
  }
  return MOSQ_ERR_ACL_DENIED; /* swallowed: nobody else gets it */
}

int mosquitto_plugin_version(int count, const int* versions) {
  for (int i = 0; i < count; ++i)
    if (versions[i] == 5) return 5;
  return -1;
}

int mosquitto_plugin_init(mosquitto_plugin_id_t* identifier, void** user, struct mosquitto_opt* options, int count) {
  (void)user;
  plugin = identifier;
  size_t bytes = 300;
  for (int i = 0; i < count; ++i) {
    if (strcmp(options[i].key, "keys_file") == 0 && !read_keys(options[i].value)) return MOSQ_ERR_INVAL;
    if (strcmp(options[i].key, "twin_bytes") == 0) bytes = strtoul(options[i].value, NULL, 10);
  }
  char* filler = calloc(1, bytes + 1);
  const size_t space = bytes + 100;
  twin_text = calloc(1, space);
  memset(filler, 'x', bytes);
  snprintf(twin_text, space, "{\"desired\":{\"$version\":1},\"reported\":{\"text\":\"%s\",\"$version\":1}}", filler);
  free(filler);
  twin_size = strlen(twin_text);
  mosquitto_callback_register(plugin, MOSQ_EVT_BASIC_AUTH, on_auth, NULL, NULL);
  mosquitto_callback_register(plugin, MOSQ_EVT_ACL_CHECK, on_acl, NULL, NULL);
  mosquitto_callback_register(plugin, MOSQ_EVT_MESSAGE, on_message, NULL, NULL);
  return MOSQ_ERR_SUCCESS;
}

int mosquitto_plugin_cleanup(void* user, struct mosquitto_opt* options, int count) {
  (void)user;
  (void)options;
  (void)count;
  mosquitto_callback_unregister(plugin, MOSQ_EVT_BASIC_AUTH, on_auth, NULL);
  mosquitto_callback_unregister(plugin, MOSQ_EVT_ACL_CHECK, on_acl, NULL);
  mosquitto_callback_unregister(plugin, MOSQ_EVT_MESSAGE, on_message, NULL);
  for (unsigned i = 0; i < BUCKETS; ++i)
    for (struct device *d = buckets[i], *next = NULL; d != NULL; d = next) {
      next = d->next;
      free(d);
    }
  free(twin_text);
  return MOSQ_ERR_SUCCESS;
}
