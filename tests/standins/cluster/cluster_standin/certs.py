"""A certificate authority of the stand-in's own, and kubeconfig files that trust it."""

import base64
import datetime
import ipaddress
import pathlib
import ssl

import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

DAYS = 30


def _name(common, organizations=()):
    parts = [x509.NameAttribute(NameOID.COMMON_NAME, common)]
    parts += [x509.NameAttribute(NameOID.ORGANIZATION_NAME, one) for one in organizations]
    return x509.Name(parts)


def _write(path, data):
    path.touch(mode=0o600)
    path.chmod(0o600)
    path.write_bytes(data)


def _key_pem(key):
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                             serialization.NoEncryption())


class Authority:
    """Files in `folder`: ca.crt, server.crt, server.key, and what is asked for."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _name("cluster-standin-ca")
        self.certificate = self._sign(self._name, self._key, self._name, [
            (x509.BasicConstraints(True, None), True),
            (x509.KeyUsage(True, False, False, False, False, True, True, False, False), True)])
        _write(self.folder / "ca.crt", self.certificate.public_bytes(serialization.Encoding.PEM))
        hosts = [x509.DNSName("localhost"), x509.DNSName("kubernetes.default.svc"),
                 x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
        self.issue("server", "kubernetes", [], ExtendedKeyUsageOID.SERVER_AUTH, hosts)

    def _sign(self, subject, key, issuer, extensions):
        now = datetime.datetime.now(datetime.timezone.utc)
        made = (x509.CertificateBuilder().subject_name(subject).issuer_name(issuer)
                .public_key(key.public_key()).serial_number(x509.random_serial_number())
                .not_valid_before(now - datetime.timedelta(hours=1))
                .not_valid_after(now + datetime.timedelta(days=DAYS)))
        made = made.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
        made = made.add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(
            self._key.public_key()), False)
        for extension, critical in extensions:
            made = made.add_extension(extension, critical)
        return made.sign(self._key, hashes.SHA256())

    def issue(self, name, common, organizations, usage, hosts=()):
        """Writes NAME.crt and NAME.key."""
        key = ec.generate_private_key(ec.SECP256R1())
        extensions = [(x509.BasicConstraints(False, None), True),
                      (x509.ExtendedKeyUsage([usage]), False)]
        if hosts:
            extensions.append((x509.SubjectAlternativeName(hosts), False))
        made = self._sign(_name(common, organizations), key, self._name, extensions)
        _write(self.folder / f"{name}.crt", made.public_bytes(serialization.Encoding.PEM))
        _write(self.folder / f"{name}.key", _key_pem(key))

    def issue_client(self, user):
        self.issue("client", user, ["kfops"], ExtendedKeyUsageOID.CLIENT_AUTH)

    def server_context(self):
        """TLS for the API server; a client certificate is looked at when one is shown."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.folder / "server.crt", self.folder / "server.key")
        context.load_verify_locations(self.folder / "ca.crt")
        context.verify_mode = ssl.CERT_OPTIONAL
        return context

    def kubeconfig(self, server, user, namespace):
        """The text of a kubeconfig file; `user` is the users[].user member."""
        authority = base64.b64encode((self.folder / "ca.crt").read_bytes()).decode()
        return yaml.safe_dump({
            "apiVersion": "v1", "kind": "Config", "current-context": "standin",
            "clusters": [{"name": "standin", "cluster": {
                "server": server, "certificate-authority-data": authority}}],
            "contexts": [{"name": "standin", "context": {
                "cluster": "standin", "user": "bot", "namespace": namespace}}],
            "users": [{"name": "bot", "user": user}]}, sort_keys=False)

    def write(self, name, text):
        _write(self.folder / name, text.encode())
