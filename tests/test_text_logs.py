"""Text logs line by line: what each tool writes, and where the numbers end up."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from curvet.readers import read
from curvet.roles import assign
from curvet.run import Curve, Run

nan, inf = math.nan, math.inf
Points = dict[float, float]  # step -> value

# Tool: (lines, training loss, validation loss)
LOGS: dict[str, tuple[str, Points, Points]] = {
    "nanoGPT": (
        "step 0: train loss 4.25, val loss 4.5\niter 0: loss 4.3, time 2984.20ms, mfu -100.00%\n"
        "iter 10: loss 3.25, time 18.42ms, mfu 20.26%\nstep 250: train loss 2.0, val loss 2.5\n",
        {0: 4.25, 250: 2.0}, {0: 4.5, 250: 2.5}),
    "build-nanogpt": (
        "0 val 10.9505\n0 hella 0.2463\n0 train 10.955029\n1 train 10.5\n250 val 6.0127\n"
        "250 hella 0.2512\n250 train nan\n",
        {0: 10.955029, 1: 10.5, 250: nan}, {0: 10.9505, 250: 6.0127}),
    "llm.c": (
        "step    1/19560 | loss 10.98 (+nanz)| norm 15.3 (+nanz)| lr 2.0e-06 | 800.0 ms\n"
        "val loss 10.1\nstep    2/19560 | loss 10.5 (+0.1z)| norm 10.3 (+nanz)| lr 4.0e-06\n",
        {1: 10.98, 2: 10.5}, {1: 10.1}),
    "LitGPT": (
        "Epoch 1 | iter 10 step 5 | loss train: 2.5, val: n/a | iter time: 100.0 ms (step)\n"
        "iter 10: val loss 2.25, val time: 1000.0 ms\n"
        "Epoch 1 | iter 20 step 10 | loss train: 2.0, val: 2.250 | iter time: 100.0 ms (step)\n",
        {5: 2.5, 10: 2.0}, {5: 2.25}),
    "NeMo, progress bar": (
        "Epoch 0:   1%|   | 10/1000 [00:10<1:00, 0.9it/s, reduced_train_loss=10.9, "
        "global_step=9.0]\r"
        "Epoch 0:   2%|   | 20/1000 [00:20<1:00, 0.9it/s, reduced_train_loss=9.5, "
        "global_step=19.0]\r"
        "Epoch 0:   2%|   | 20/1000 [00:20<1:00, 0.9it/s, reduced_train_loss=9.5, "
        "global_step=19.0, val_loss=9.75]\r"
        "Epoch 0:   3%|   | 30/1000 [00:30<1:00, 0.9it/s, reduced_train_loss=nan, "
        "global_step=29.0, val_loss=9.75]\n",
        {9: 10.9, 19: 9.5, 29: nan}, {19: 9.75}),
    "NeMo, lines": (
        "Training epoch 0, iteration 0/99 | lr: 1.5e-07 | global_step: 0 | "
        "reduced_train_loss: 11.0 | train_step_timing in s: 15.04\n"
        "Training epoch 0, iteration 1/99 | lr: 3e-07 | global_step: 1 | "
        "reduced_train_loss: 10.5 | train_step_timing in s: 0.5\n",
        {0: 11.0, 1: 10.5}, {}),
    "Megatron on ranks": (
        "[default0]: iteration       10/  500 | consumed samples: 5120 | lm loss: 1.080E+01 | "
        "grad norm: 3.1 | number of nan iterations:   0 |\n"
        "[default0]: iteration       20/  500 | consumed samples: 9999 | lm loss: nan | "
        "grad norm: nan | number of nan iterations:   10 |\n"
        "[default7]: validation loss at iteration 20 on validation set | lm loss value: 8.5E+00 |"
        " lm loss PPL: 4.9E+03 |\n",
        {10: 10.8, 20: nan}, {20: 8.5}),
    "fairseq, older": (
        "| epoch 001 | loss 9.25 | nll_loss 8.5 | ppl 362 | num_updates 500 | lr 6.25e-05\n"
        "| epoch 001 | valid on 'valid' subset | loss 8.0 | nll_loss 7.2 | num_updates 500\n"
        "| epoch 002 | loss 7.25 | nll_loss 6.5 | ppl 90 | num_updates 1000 | lr 1.25e-04\n"
        "| epoch 002 | valid on 'valid' subset | loss 7.0 | nll_loss 6.2 | num_updates 1000\n",
        {500: 9.25, 1000: 7.25}, {500: 8.0, 1000: 7.0}),
    "fairseq, newer": (
        "2024-01-01 00:00:01 | INFO | train_inner | epoch 001:    100 / 1102 loss=13.5, "
        "nll_loss=13.25, ups=8, num_updates=100, lr=1.25e-05, gnorm=4.6\n"
        "2024-01-01 00:00:03 | INFO | valid | epoch 001 | valid on 'valid' subset | loss 9.5 | "
        "nll_loss 9.1 | num_updates 1102\n"
        "2024-01-01 00:00:03 | INFO | train | epoch 001 | loss 10.5 | nll_loss 10.1 | "
        "num_updates 1102 | lr 0.0001\n"
        "2024-01-01 00:00:04 | INFO | train_inner | epoch 002:     98 / 1102 loss=9.75, "
        "nll_loss=9.5, ups=8, num_updates=1200, lr=1.5e-04, gnorm=1.6\n",
        {100: 13.5, 1200: 9.75}, {1102: 9.5}),
    "fairseq, JSON": (
        'INFO | train_inner | {"epoch": 1, "loss": "13.5", "num_updates": "100"}\n'
        'INFO | valid | {"epoch": 1, "valid_loss": "9.5", "valid_num_updates": "1102"}\n'
        'INFO | train | {"epoch": 1, "train_loss": "11.0", "train_num_updates": "1102"}\n'
        'INFO | train_inner | {"epoch": 2, "loss": "9.75", "num_updates": "1200"}\n'
        'INFO | train | {"epoch": 2, "train_loss": "9.0", "train_num_updates": "2204"}\n',
        {100: 13.5, 1200: 9.75}, {1102: 9.5}),
    "Flair": (
        "2024-01-01 10:00:10,1 epoch 1 - iter 10/100 - loss 3.0 - time (sec): 5.1 - lr: 0.00001\n"
        "2024-01-01 10:01:00,1 EPOCH 1 done: loss 1.5000 - lr: 0.000050\n"
        "2024-01-01 10:01:10,1 DEV : loss 0.75 - f1-score (micro avg)  0.61\n"
        "2024-01-01 10:01:20,1 epoch 2 - iter 10/100 - loss 1.0 - time (sec): 5.1 - lr: 0.00005\n"
        "2024-01-01 10:02:10,1 DEV : loss 0.5 - f1-score (micro avg)  0.71\n",
        {10: 3.0, 110: 1.0}, {10: 0.75, 110: 0.5}),
    "Lightning's bar": (
        "Epoch 0:  50%|█████     | 5/10 [00:00<00:00, 60.0it/s, v_num=0, train_loss=2.0]\r"
        "Epoch 0: 100%|██████████| 10/10 [00:00<00:00, 60.0it/s, v_num=0, train_loss=1.5]\r"
        "Validation: |          | 0/? [00:00<?, ?it/s]\r"
        "Epoch 0: 100%|██████████| 10/10 [00:00<00:00, 60.0it/s, train_loss=1.5, val_loss=1.75]\r"
        "Epoch 1:  50%|█████     | 5/10 [00:00<00:00, 60.0it/s, train_loss=1.25, val_loss=1.75]\r"
        "Epoch 1: 100%|██████████| 10/10 [00:00<00:00, 6.0it/s, train_loss=1.0, val_loss=1.5]\n",
        {5: 2.0, 10: 1.5, 15: 1.25, 20: 1.0}, {10: 1.75, 20: 1.5}),
    "Lightning's rich bar": (
        "Epoch 0/1  ━━━━━╸━━━━━  5/10 0:00:01 • -:--:-- 9.00it/s train_loss: 2.000\n"
        "Epoch 0/1  ━━━━━━━━━━━ 10/10 0:00:01 • 0:00:00 9.00it/s train_loss: 1.500\n"
        "Epoch 0/1  ━━━━━━━━━━━ 10/10 0:00:01 •         9.00it/s train_loss: 1.500\n"
        "                                               val_loss: 1.750\n"
        "Epoch 1/1  ━━━━━━━━━━━ 10/10 0:00:01 • 0:00:00 9.00it/s train_loss: 1.000\n"
        "                                               val_loss: 1.750\n"
        "Epoch 1/1  ━━━━━━━━━━━ 10/10 0:00:01 • 0:00:00 9.00it/s train_loss: 1.000\n"
        "                                               val_loss: 1.250\n",
        {5: 2.0, 10: 1.5, 20: 1.0}, {10: 1.75, 20: 1.25}),
    "PyTorch's CIFAR tutorial": (
        "[1,  2000] loss: 2.25\n[1,  4000] loss: 1.75\n[2,  2000] loss: 1.5\n[2,  4000] loss: 1.25"
        "\n", {0: 2.25, 1: 1.75, 2: 1.5, 3: 1.25}, {}),
    "PyTorch's quickstart": (
        "Epoch 1\n-------------------------------\nloss: 2.25  [   64/60000]\n"
        "loss: 2.0  [ 6464/60000]\nTest Error: \n Accuracy: 44.7%, Avg loss: 2.125 \n\nEpoch 2\n"
        "-------------------------------\nloss: 1.5  [   64/60000]\nloss: 1.25  [ 6464/60000]\n"
        "Test Error: \n Accuracy: 55.7%, Avg loss: 1.375 \n",
        {64: 2.25, 6464: 2.0, 60064: 1.5, 66464: 1.25}, {6464: 2.125, 66464: 1.375}),
    "PyTorch's ImageNet example": (
        "Epoch: [0][   1/5005]\tTime  5.1 ( 5.1)\tLoss 7.0e+00 (7.0e+00)\tAcc@1   0.00 (  0.00)\n"
        "Test: [ 1/196]\tTime  5.1 ( 5.1)\tLoss 6.5e+00 (6.5e+00)\tAcc@1   0.00 (  0.00)\n"
        "Test: [11/196]\tTime  5.1 ( 5.1)\tLoss 6.0e+00 (6.25e+00)\tAcc@1   0.00 (  0.00)\n"
        "Epoch: [1][   1/5005]\tTime  5.1 ( 5.1)\tLoss 5.5e+00 (5.5e+00)\tAcc@1   0.00 (  0.00)\n",
        {1: 7.0, 5006: 5.5}, {1: 6.25}),
    "timm": (
        "Train: 0 [   0/1251 (  0%)]  Loss: 7.0 (7.0)  Time: 1.2s,  100.0/s  LR: 1.000e-06\n"
        "Train: 0 [  50/1251 (  4%)]  Loss: 6.5 (6.75)  Time: 0.2s,  500.0/s  LR: 1.000e-06\n"
        "Test: [   0/48]  Time: 1.0 (1.0)  Loss:  6.5 (6.5)  Acc@1:   1.0 (  1.0)\n"
        "Test: [  48/48]  Time: 0.1 (0.2)  Loss:  6.0 (6.25)  Acc@1:   1.2 (  1.1)\n"
        "Train: 1 [   0/1251 (  0%)]  Loss: 6.0 (6.0)  Time: 1.2s,  100.0/s  LR: 1.000e-04\n",
        {0: 7.0, 50: 6.5, 1251: 6.0}, {50: 6.25}),
    "Ignite": (
        "Epoch[1] Iteration[10/100] Loss: 2.25\n"
        "Training Results - Epoch: 1  Avg accuracy: 0.80 Avg loss: 1.75\n"
        "Validation Results - Epoch: 1  Avg accuracy: 0.82 Avg loss: 1.5\n"
        "Epoch[2] Iteration[10/100] Loss: 1.25\n", {10: 2.25, 110: 1.25}, {10: 1.5}),
    "torchtitan": (
        "[rank0]:[titan] 2024-11-01 10:00:00,123 - root - INFO - \x1b[31mstep:  1  "
        "\x1b[32mloss: 12.25  \x1b[33mmemory: 5.5GiB(5.8%)  \x1b[34mtps: 500\x1b[39m\n"
        "[rank1]:[titan] 2024-11-01 10:00:00,123 - root - INFO - \x1b[31mstep:  1  "
        "\x1b[32mloss: 13.0  \x1b[33mmemory: 5.5GiB(5.8%)  \x1b[34mtps: 500\x1b[39m\n"
        "[rank0]:[titan] 2024-11-01 10:00:10,123 - root - INFO - \x1b[31mstep: 10  "
        "\x1b[32mloss:  8.5  \x1b[33mmemory: 9.5GiB(9.8%)  \x1b[34mtps: 5,000\x1b[39m\n",
        {1: 12.25, 10: 8.5}, {}),
    "srun -l": ("0: step 1 loss 2.0\n1: step 1 loss 3.0\n0: step 2 loss 1.5\n1: step 2 loss 4.0\n",
                {1: 2.0, 2: 1.5}, {}),
    "mpirun": ("[1,0]<stdout>:step 1 loss 2.0\n[1,1]<stdout>:step 1 loss 3.0\n"
               "[1,0]<stdout>:step 2 loss 1.5\n", {1: 2.0, 2: 1.5}, {}),
    "PaddleClas": (
        "[2024/01/01 10:00:00] ppcls INFO: [Train][Epoch 1/10][Iter: 0/50]lr(LinearWarmup): "
        "0.0001, top1: 0.01, CELoss: 4.5, loss: 4.5, batch_cost: 1.5s, eta: 0:10:00\n"
        "[2024/01/01 10:00:20] ppcls INFO: [Train][Epoch 1/10][Avg]top1: 0.1, loss: 4.0\n"
        "[2024/01/01 10:00:25] ppcls INFO: [Eval][Epoch 1][Iter: 0/10]CELoss: 3.75, loss: 3.75\n"
        "[2024/01/01 10:00:30] ppcls INFO: [Eval][Epoch 1][Avg]CELoss: 3.5, loss: 3.5, top1: 0.2\n"
        "[2024/01/01 10:00:40] ppcls INFO: [Train][Epoch 2/10][Iter: 0/50]lr(LinearWarmup): "
        "0.0006, top1: 0.15, CELoss: 3.25, loss: 3.25, batch_cost: 0.5s\n",
        {0: 4.5, 50: 3.25}, {0: 3.5}),
    "PaddleOCR": (
        "[2024/01/01 10:00:00] ppocr INFO: epoch: [1/500], global_step: 10, lr: 0.0001, acc: 0.0, "
        "CTCLoss: 30.0, NRTRLoss: 5.0, loss: 35.0, avg_reader_cost: 0.1 s, eta: 1 day\n"
        "[2024/01/01 10:00:10] ppocr INFO: epoch: [1/500], global_step: 20, lr: 0.0002, acc: 0.0, "
        "CTCLoss: 20.0, NRTRLoss: 4.0, loss: 24.0, avg_reader_cost: 0.1 s, eta: 1 day\n",
        {10: 35.0, 20: 24.0}, {}),
    "PaddleSeg": (
        "2024-01-01 10:00:00 [INFO]\t[TRAIN] epoch: 1, iter: 10/1000, loss: 0.75, lr: 0.01, "
        "batch_cost: 0.2, reader_cost: 0.1, ips: 20.0 samples/sec | ETA 00:03:00\n"
        "2024-01-01 10:00:10 [INFO]\t[TRAIN] epoch: 2, iter: 20/1000, loss: 0.5, lr: 0.01, "
        "batch_cost: 0.2, reader_cost: 0.1, ips: 20.0 samples/sec | ETA 00:03:00\n"
        "2024-01-01 10:00:20 [INFO]\t[TRAIN] epoch: 2, iter: 30/1000, loss: 0.25, lr: 0.01, "
        "batch_cost: 0.2, reader_cost: 0.1, ips: 20.0 samples/sec | ETA 00:03:00\n",
        {10: 0.75, 20: 0.5, 30: 0.25}, {}),
    "PaddleNLP": (
        "[2024-01-01 10:00:00,123] [    INFO] - loss: 2.5, learning_rate: 3e-05, global_step: 10, "
        "interval_runtime: 1.2, epoch: 0.1\n"
        "[2024-01-01 10:00:12,123] [    INFO] - eval_loss: 2.25, eval_runtime: 1.0, epoch: 0.1\n"
        "[2024-01-01 10:00:20,123] [    INFO] - loss: 2.0, learning_rate: 2e-05, global_step: 20, "
        "interval_runtime: 1.2, epoch: 0.2\n", {10: 2.5, 20: 2.0}, {10: 2.25}),
    "mmengine, by iterations": (
        "2024/01/01 10:00:00 - mmengine - INFO - Iter(train) [   50/20000]  lr: 1e-02  loss: 2.5\n"
        "2024/01/01 10:00:05 - mmengine - INFO - Iter(val) [10/10]  loss: 2.25  time: 0.1\n"
        "2024/01/01 10:00:10 - mmengine - INFO - Iter(train) [  100/20000]  lr: 9e-03  loss: 2.0\n",
        {50: 2.5, 100: 2.0}, {50: 2.25}),
    "detectron2": (
        "[01/01 10:00:00 d2.utils.events]:  eta: 1:00:00  iter: 19  total_loss: 2.5  loss_cls: 1.5 "
        " time: 0.5  lr: 4.9e-05  max_mem: 3000M\n"
        "[01/01 10:00:10 d2.utils.events]:  eta: 0:59:00  iter: 39  total_loss: 2.0  loss_cls: 1.0 "
        " time: 0.5  lr: 9.9e-05  max_mem: 3000M\n", {19: 2.5, 39: 2.0}, {}),
    "YOLOv5": (
        "      Epoch    GPU_mem   box_loss   obj_loss   cls_loss  Instances       Size\n"
        "        0/2         0G      0.125     0.0625     0.0625         30        640: 50% 5/10\r"
        "        0/2         0G      0.125      0.125      0.125         30       640: 100% 1/1\n"
        "                 Class     Images  Instances          P          R      mAP50\n"
        "        1/2         0G      0.125     0.0625     0.0625         30       640: 100% 1/1\n",
        {0: 0.375, 1: 0.25}, {}),
    "CatBoost": (
        "Learning rate set to 0.03\n0:\tlearn: 0.5\ttest: 0.75\tbest: 0.75 (0)\ttotal: 50ms\n"
        "10:\tlearn: 0.25\ttest: 0.5\tbest: 0.5 (10)\ttotal: 52ms\tremaining: 26s\n",
        {0: 0.5, 10: 0.25}, {0: 0.75, 10: 0.5}),
    "Hugging Face beside a bar": (
        "{'loss': 2.5, 'grad_norm': 1.1, 'learning_rate': 5e-05, 'epoch': 0.1}\n"
        "  1%|     | 10/1000 [00:10<17:00,  0.97it/s]{'loss': '2.0', 'epoch': '0.2'}\n"
        "{'eval_loss': 2.25, 'eval_runtime': 3.1, 'epoch': 0.2}\n"
        "{'train_runtime': 100.0, 'train_loss': 2.2, 'epoch': 0.2}\n",
        {0.1: 2.5, 0.2: 2.0}, {0.2: 2.25}),
    "a notebook's table": (
        "Step\tTraining Loss\tValidation Loss\n500\t2.5\tNo log\n"
        "1000\t2.0\t2.25\n1500\t1.5\t1.75\n",
        {500: 2.5, 1000: 2.0, 1500: 1.5}, {1000: 2.25, 1500: 1.75}),
    "fastai": (
        "epoch     train_loss  valid_loss  time    \n0         0.50        0.25        00:10     \n"
        "1         0.25        0.125       00:10     \n"
        "2         0.20        0.10        00:10     \n",
        {0: 0.5, 1: 0.25, 2: 0.2}, {0: 0.25, 1: 0.125, 2: 0.1}),
    "Keras 1": (
        "Train on 60000 samples, validate on 10000 samples\nEpoch 1/2\n"
        "60000/60000 [====] - 5s 80us/step - loss: 0.25 - acc: 0.92 - val_loss: 0.5 - val_acc: 0.9"
        "\nEpoch 00001: val_loss improved from inf to 0.50000, saving model to x.h5\nEpoch 2/2\n"
        "60000/60000 [====] - 5s 80us/step - loss: 0.125 - acc: 0.9 - val_loss: inf - val_acc: 0."
        "9\n", {1: 0.25, 2: 0.125}, {1: 0.5, 2: inf}),
    "Keras 2, without validation": (
        "Epoch 1/2\n\r 1/10 [==>......] - ETA: 3s - loss: 2.5 - accuracy: 0.1" + "\b" * 70
        + "\r10/10 [========] - 1s 3ms/step - loss: 2.0 - accuracy: 0.2\nEpoch 2/2\n"
        "\r10/10 [========] - 1s 3ms/step - loss: nan - accuracy: 0.2\n"
        "5/5 [==========] - 0s 3ms/step - loss: 0.5 - accuracy: 0.2\n",
        {1: 2.0, 2: nan}, {}),
    "tqdm, counted after the loss is shown, and validated at the end": (
        "\rEpoch 1:   0%|          | 0/2 [00:00<?, ?it/s]"
        "\rEpoch 1:   0%|          | 0/2 [00:00<?, ?it/s, loss=2.5]"
        "\rEpoch 1:  50%|#####     | 1/2 [00:01<00:01,  1.00it/s, loss=2.5]"
        "\rEpoch 1:  50%|#####     | 1/2 [00:01<00:01,  1.00it/s, loss=2.25]"
        "\rEpoch 1: 100%|##########| 2/2 [00:02<00:00,  1.00it/s, loss=2.25]"
        "\rEpoch 1: 100%|##########| 2/2 [00:02<00:00,  1.00it/s, loss=2.25, val_loss=2]\n",
        {1: 2.5, 2: 2.25}, {2: 2.0}),
    "Keras with verbose=2, evaluated on as many batches": (
        "Epoch 1/2\n4/4 - 0s - 81ms/step - loss: 2.5 - val_loss: 2.25\n"
        "Epoch 2/2\n4/4 - 0s - 6ms/step - loss: 2.0 - val_loss: 1.75\n"
        "4/4 - 0s - 6ms/step - loss: 1.5\n",
        {1: 2.5, 2: 2.0}, {1: 2.25, 2: 1.75}),
    "print": ("epoch 1 loss 0.5\nepoch 2 loss 0.25\n", {1: 0.5, 2: 0.25}, {}),
    "print, both in one line": (
        "Epoch 1: Train: loss 0.5 acc 0.6 Val: loss 0.75 acc 0.5\n"
        "Epoch 2: Train: loss 0.25 acc 0.6 Val: loss 0.5 acc 0.5\n",
        {1: 0.5, 2: 0.25}, {1: 0.75, 2: 0.5}),
    "print with pictures": (
        "🚀 Epoch 1 — train loss: 2.5 ✅ val loss: 2.75\n"
        "🚀 Epoch 2 — train loss: 2.0 ✅ val loss: 2.25\n",
        {1: 2.5, 2: 2.0}, {1: 2.75, 2: 2.25}),
    "numbers that are none": (
        "2024-01-01 INFO Step 10 | loss=2.5\n2024-01-01 INFO Step 20 | loss=NaN\n"
        "2024-01-01 INFO Step 30 | loss=-nan\n2024-01-01 INFO Step 40 | loss=-nan(ind)\n"
        "2024-01-01 INFO Step 50 | loss=1.#QNAN\n2024-01-01 INFO Step 60 | loss=1.#INF00\n"
        "2024-01-01 INFO Step 70 | loss=-inf\n2024-01-01 INFO Step 80 | loss=Infinity\n",
        {10: 2.5, 20: nan, 30: nan, 40: nan, 50: nan, 60: inf, 70: -inf, 80: inf}, {}),
    "other things called a test": (
        "    train:      10\n    test:       5\n > test:\nValidation:\n\nstep 1: loss 2.0\n"
        "step 2: loss 1.0, next test_run/eval.py at 5\n", {1: 2.0, 2: 1.0}, {}),
}  # fmt: skip


def points(curve: Curve | None) -> list[tuple[float, float]]:
    if curve is None:
        return []
    return list(zip(curve.step.tolist(), curve.value.tolist(), strict=True))


def runs_of(folder: Path, text: str) -> list[Run]:
    path = folder / "console.txt"
    path.write_text(text, encoding="utf-8")
    return list(read(path))


@pytest.mark.parametrize("tool", LOGS)
def test_what_a_tool_writes_is_found(tmp_path: Path, tool: str) -> None:
    text, loss, val = LOGS[tool]
    (run,) = runs_of(tmp_path, text)
    channels = assign(run)
    np.testing.assert_array_equal(points(channels.loss), list(loss.items()))
    np.testing.assert_array_equal(points(channels.val), list(val.items()))


# Lines of these tools are told by how they begin.
BY_THE_BEGINNING = (
    "CatBoost", "a notebook's table", "Lightning's rich", "fastai", "PyTorch's", "Keras", "YOLOv5",
    "srun", "mpirun",
    "torchtitan", "Megatron on", "llm.c", "build-nanogpt", "other things",
)  # fmt: skip


@pytest.mark.parametrize("tool", [tool for tool in LOGS if not tool.startswith(BY_THE_BEGINNING)])
def test_times_and_names_before_the_lines_change_nothing(tmp_path: Path, tool: str) -> None:
    text, loss, val = LOGS[tool]
    head = "[2024-01-01 12:00:00,123][node-7][INFO] - "
    (run,) = runs_of(tmp_path, "".join(head + line for line in text.splitlines(keepends=True)))
    channels = assign(run)
    np.testing.assert_array_equal(points(channels.loss), list(loss.items()))
    np.testing.assert_array_equal(points(channels.val), list(val.items()))


def test_epochs_that_begin_anew_are_another_run(tmp_path: Path) -> None:
    once = "".join(f"epoch {epoch}: loss {2.0 / epoch}\n" for epoch in range(1, 5))
    runs = runs_of(tmp_path, "=== fold ===\n".join([once] * 10))
    assert [run.id for run in runs] == [f"console.txt#{number}" for number in range(1, 11)]
    assert all(points(run.curves["loss"])[-1] == (4.0, 0.5) for run in runs)


def test_a_resumed_run_stays_one(tmp_path: Path) -> None:
    lines = [f"epoch {epoch}: loss {2.0 / epoch}\n" for epoch in (1, 2, 3, 4, 3, 4, 5)]
    (run,) = runs_of(tmp_path, "".join(lines))
    assert run.curves["loss"].step.tolist() == [1, 2, 3, 4, 3, 4, 5]
    lines = [f"epoch {epoch} step {step}: loss 1.0\n" for step, epoch in enumerate((1, 2, 3, 4, 1))]
    (run,) = runs_of(tmp_path, "".join(lines))
    assert run.curves["loss"].step.tolist() == [0, 1, 2, 3, 4]


def test_an_espnet_log_without_lines_inside_its_epochs(tmp_path: Path) -> None:
    lines = [
        f"[a] 2024-03-02 09:14:0{n} (trainer:357) INFO: {n}epoch results: [train] loss={9 - n}.5, "
        f"time=1 minute and 2.5 seconds, total_count={n * 5}, [valid] loss=nan, total_count={n}"
        for n in (1, 2, 3)
    ]
    path = tmp_path / "train.log"
    path.write_text("\n".join(lines) + "\n")
    (run,) = read(path)
    assert {tag: curve.step.tolist() for tag, curve in run.curves.items()} == {
        "loss": [1.0, 2.0, 3.0],
        "valid/loss": [1.0, 2.0, 3.0],
    }
    assert np.isnan(run.curves["valid/loss"].value).all()


def test_espnet_forgets_a_comma(tmp_path: Path) -> None:
    path = tmp_path / "train.log"
    path.write_text(
        "1epoch:train:1-1batch: lr=2.500e-06loss=7.529, grad_norm=1.000\n"
        "1epoch:train:2-2batch: lr=2.600e-06, loss=6.500, grad_norm=nanclip=0\n"
    )
    (run,) = read(path)
    assert {tag: curve.value.tolist() for tag, curve in run.curves.items() if tag != "epoch"} == {
        "lr": [2.5e-06, 2.6e-06],
        "loss": [7.529, 6.5],
        "grad_norm": [1.0, pytest.approx(np.nan, nan_ok=True)],
        "clip": [0.0],
    }


def test_a_resumed_espnet_log_goes_back_to_the_start_of_its_epoch(tmp_path: Path) -> None:
    def batch(epoch: int, last: int) -> str:
        return f"(trainer:762) INFO: {epoch}epoch:train:{last - 4}-{last}batch: loss=1.5"

    def end(epoch: int) -> str:
        return f"INFO: {epoch}epoch results: [train] loss=1.5, total_count={epoch * 12}"

    lines = [batch(1, 5), batch(1, 10), end(1), batch(2, 5), batch(2, 5), batch(2, 10), end(2)]
    path = tmp_path / "train.log"
    path.write_text("\n".join(lines) + "\n")
    (run,) = read(path)
    assert run.curves["loss"].step.tolist() == [5.0, 10.0, 17.0, 17.0, 22.0]


def test_a_table_of_spacy_without_its_frame(tmp_path: Path) -> None:
    path = tmp_path / "spacy.txt"
    path.write_text(
        "E    #       LOSS TAGGER  TAG_ACC  SCORE \n---  ------  -----------  -------  ------\n"
        "  0       0        30.14    21.05    0.21\n  2     200          nan    55.10    0.55\n"
        "Epoch 3:   5%|4         | 10/200 [00:01<00:20, 9.43it/s]\n"
        "  4     400        12.50    61.00    0.61\n"
    )
    (run,) = read(path)
    assert run.curves["LOSS TAGGER"].step.tolist() == [0.0, 200.0, 400.0]
    assert np.isnan(run.curves["LOSS TAGGER"].value[1])
    assert run.curves["epoch"].value.tolist() == [0.0, 2.0, 4.0]
