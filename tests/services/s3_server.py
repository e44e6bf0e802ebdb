"""An S3 server (moto) for the tests of lib/services/s3, run by the Python that scripts/setup.sh makes for it.

Prints one line of JSON with its address and the keys of a user who may do everything, then serves until its input
ends. Signatures are not checked until somebody posts 0 to /moto-api/reset-auth; from then on every request must have one.
"""
import json
import os
import sys

import boto3
from moto.server import ThreadedMotoServer

ALLOW_ALL = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]})
TRUST = json.dumps({"Version": "2012-10-17", "Statement": [
    {"Effect": "Allow", "Principal": {"Federated": "oidc"}, "Action": "sts:AssumeRoleWithWebIdentity"}]})


def main() -> None:
    os.environ.update(AWS_ACCESS_KEY_ID="setup", AWS_SECRET_ACCESS_KEY="setup", AWS_DEFAULT_REGION="us-east-1")
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    url = f"http://{host}:{port}"
    iam = boto3.client("iam", endpoint_url=url)
    iam.create_user(UserName="kfops")
    iam.put_user_policy(UserName="kfops", PolicyName="all", PolicyDocument=ALLOW_ALL)
    key = iam.create_access_key(UserName="kfops")["AccessKey"]
    role = iam.create_role(RoleName="kfops", AssumeRolePolicyDocument=TRUST)["Role"]
    boto3.client("s3", endpoint_url=url).create_bucket(Bucket="models")
    print(json.dumps({"url": url, "access_key": key["AccessKeyId"], "secret_key": key["SecretAccessKey"],
                      "role": role["Arn"]}), flush=True)
    sys.stdin.read()
    server.stop()


if __name__ == "__main__":
    main()
